"""The parent's side of one decoder process."""

import io
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from typing import Any, cast

from earmark.audio.worker import HEADER, READY

try:
    import fcntl
except ImportError:  # not POSIX, where no such process is started
    fcntl = None

START_SECONDS = 120.0
GRACE_SECONDS = 2.0
MAX_FRAME_BYTES = 1 << 30
BOOT = "import sys; sys.path[:] = sys.argv[1:]; from earmark.audio.worker import main; main()"


class StalledError(Exception):
    """No byte came from the process within the time limit."""


class EndedError(Exception):
    """The process ended in the middle of its work."""


class DecoderError(RuntimeError):
    """Decoder processes do not start at all here."""


class DecoderProcess:
    """A process that decodes one file after another.

    It is a fresh interpreter, never a fork: torch's threads do not survive forking, and scripts without a
    main guard must work.  It sits in a process group of its own, so that Ctrl-C in the terminal reaches the
    parent only, which ends it in order.
    """

    def __init__(self) -> None:
        # -P and our own sys.path: the folder that people happen to stand in must not shadow modules
        command = [sys.executable, "-P", "-c", BOOT, *sys.path]
        threads = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  (of its start; closed when it is ready)
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            bufsize=0,
            env=os.environ | threads,
            process_group=0,
        )
        self._stdin = cast(io.FileIO, self._process.stdin)  # raw pipes, as bufsize is 0
        self._stdout = cast(io.FileIO, self._process.stdout)
        self._poll = select.poll()
        self._poll.register(self._stdout, select.POLLIN | select.POLLHUP)
        _widen(self._stdout.fileno())

    def wait_until_ready(self) -> None:
        """Wait for the first sign of life.

        Raises:
            DecoderError: the process did not start.
        """
        try:
            kind, _ = self.frame(START_SECONDS)
        except (StalledError, EndedError):
            kind = b""
        if kind != READY:
            words = self._last_words()
            self.bury()
            raise DecoderError(f"a decoder process does not start ({words}); workers=0 needs none")
        self._complaints.close()

    def _last_words(self) -> str:
        self._process.kill()
        self._process.wait()
        self._complaints.seek(0)
        words = self._complaints.read(1 << 20).decode("utf-8", "replace").strip().splitlines()
        return words[-1] if words else f"exit status {self._process.returncode}"

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def ask(self, request: dict[str, Any], data: bytes = b"") -> None:
        """Send a request, and the bytes of the sound if they go with it.

        Raises:
            EndedError: nobody is there any more.
        """
        line = json.dumps(request | {"bytes": len(data)}).encode("ascii") + b"\n"
        try:
            for rest in (memoryview(line), memoryview(data)):
                while rest:
                    rest = rest[self._stdin.write(rest) or 0 :]
        except OSError:
            raise EndedError from None

    def frame(self, limit: float) -> tuple[bytes, bytearray]:
        """The next frame: its kind and its payload.

        Raises:
            StalledError: no byte for `limit` seconds.
            EndedError: the process is gone, or talks nonsense.
        """
        kind, size = HEADER.unpack(self._read(HEADER.size, limit))
        if size > MAX_FRAME_BYTES:
            raise EndedError
        return kind, self._read(size, limit)

    def _read(self, count: int, limit: float) -> bytearray:
        data = bytearray(count)
        view = memoryview(data)
        while view:
            if not self._poll.poll(limit * 1000):
                raise StalledError
            got = self._stdout.readinto(view)
            if not got:
                raise EndedError
            view = view[got:]
        return data

    def kill(self) -> None:
        """End the process now, from any thread; it holds nothing that could be lost."""
        with suppress(OSError):
            self._process.kill()
        self._process.wait()

    def bury(self) -> None:
        """End the process and close its pipes: by the thread that reads them, so none is closed under it."""
        self.kill()
        for pipe in (self._stdin, self._stdout, self._complaints):
            with suppress(OSError):
                pipe.close()

    def cause_of_death(self) -> str:
        """Why it ended, in words; one that stopped talking but lives is ended now."""
        try:
            status = self._process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return "the decoder stopped answering in order and was ended"
        if status >= 0:
            return f"the decoder ended with status {status}"
        try:
            name = signal.Signals(-status).name
        except ValueError:
            name = f"signal {-status}"
        hint = ", perhaps for want of memory" if -status == signal.SIGKILL else ""
        return f"the decoder was ended by {name}{hint}"


def _widen(descriptor: int) -> None:
    """Let a whole block fit into the pipe, where the system allows it: fewer, longer reads."""
    if fcntl is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
        with suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, 1 << 20)
