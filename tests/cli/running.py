"""Earmark in a process that is forked from one that imported torch: that saves seconds each."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from earmark.cli import main

SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["earmark.inference.tagging", "earmark.inference.embedding", "pyarrow.parquet"])


class Running:
    """Earmark at work; its standard streams are files, so that nobody has to read along.

    Args:
        arguments: what stands behind the command's name.
        work: where it is called.
        streams: a folder for what is read and said.
        given: what comes by standard input.
        before: what is done in the process first; a function that another process can import.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        work: Path,
        streams: Path,
        given: bytes = b"",
        before: Callable[[], object] | None = None,
    ) -> None:
        self._streams = [streams / name for name in ("stdin", "stdout", "stderr")]
        self._streams[0].write_bytes(given)
        self._process = SERVER.Process(target=_run, args=(arguments, work, self._streams, before))
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def send_signal(self, number: int) -> None:
        os.kill(self._process.pid, number)

    def poll(self) -> int | None:
        return self._process.exitcode

    def end(self) -> subprocess.CompletedProcess[bytes]:
        self._process.join(200)
        assert self._process.exitcode is not None, "it does not end"
        out, err = (stream.read_bytes() for stream in self._streams[1:])
        return subprocess.CompletedProcess("earmark", self._process.exitcode, out, err)


def _run(
    arguments: Sequence[str], folder: Path, streams: list[Path], before: Callable[[], object] | None
) -> None:
    for number, stream in enumerate(streams):
        mode = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(stream, mode), number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    if before is not None:
        before()
    main(arguments)
