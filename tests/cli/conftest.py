"""A command line at work: a small model in a file, a few sounds, and the real process."""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from earmark.cli import main
from earmark.models import save
from inference.sounds import make_model, write_sounds


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save(make_model(), path, {"recipe": "none", "licence": "CC0"})
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    write_sounds(sounds, *(0.3 + index / 10 for index in range(8)))
    return sounds


class Running:
    """Earmark at work in a process that is forked from one that imported torch: that saves seconds each.

    Its standard streams are files, so that nobody has to read along.
    """

    def __init__(
        self, folder: Path, arguments: list[str], given: bytes, before: Callable[[], None] | None
    ) -> None:
        self._streams = [folder / name for name in ("stdin", "stdout", "stderr")]
        self._streams[0].write_bytes(given)
        work = folder / "work"
        work.mkdir(exist_ok=True)
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
        self._process.join(90)
        assert self._process.exitcode is not None, "it does not end"
        out, err = (stream.read_bytes() for stream in self._streams[1:])
        return subprocess.CompletedProcess("earmark", self._process.exitcode, out, err)


SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["earmark.inference.tagging", "earmark.inference.embedding", "pyarrow.parquet"])


def _run(arguments: list[str], folder: Path, streams: list[Path], before: Callable[[], None] | None) -> None:
    for number, stream in enumerate(streams):
        mode = os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        os.dup2(os.open(stream, mode), number)
    sys.stdin, sys.stdout, sys.stderr = open(0), open(1, "w"), open(2, "w")  # noqa: SIM115
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    if before is not None:
        before()
    main(arguments)


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Where earmark is called."""
    (tmp_path / "work").mkdir(exist_ok=True)
    return tmp_path / "work"


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Running]:
    """Start earmark in `work`."""

    def start(*arguments: object, given: bytes = b"", before: Callable[[], None] | None = None) -> Running:
        return Running(tmp_path, [str(argument) for argument in arguments], given, before)

    return start


@pytest.fixture
def earmark(start) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run earmark to its end."""
    return lambda *arguments, **options: start(*arguments, **options).end()
