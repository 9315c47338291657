"""Processes that write shards: each asks for a shard, writes it, and says what is in it."""

import os
import pickle
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext, suppress
from typing import Any, cast

from earmark.data.feeding.decoding import processes
from earmark.data.packs.shard import Job, Written, write_shard

BOOT = "import sys; sys.path[:] = sys.argv[1:]; from earmark.data.packs.crew import serve; serve()"
TIMEOUT = 60.0
"""Seconds without a sample after which a decoder is ended and its clip given up."""
TRIES = 2
"""A shard whose writer was lost is begun anew so often in all."""


class WriterError(RuntimeError):
    """A process that wrote a shard was lost, and the next one as well."""


def write_all(jobs: Sequence[Job], workers: int, step: Callable[[int], None]) -> Iterator[Written]:
    """Write shards, several at a time; what is in each, as they are done.

    Args:
        jobs: which.
        workers: processes; 1 writes in this one, and 0 decodes here as well.
        step: told each time that so many rows more are done.

    Raises:
        OSError: a shard cannot be written; the others that were begun are given up, finished ones stay.
        WriterError: a process was lost twice with the same shard.
    """
    if min(workers, len(jobs)) < 2:
        with _decoders() if workers else nullcontext() as pool:
            for job in jobs:
                yield write_shard(job, pool, step)
        return
    waiting: queue.SimpleQueue[Job] = queue.SimpleQueue()
    for job in jobs:
        waiting.put(job)
    done: queue.SimpleQueue[Any] = queue.SimpleQueue()
    writers = [_Writer(waiting, done) for _ in range(min(workers, len(jobs)))]
    try:
        for writer in writers:
            writer.start()
        left = len(jobs)
        while left:
            found = done.get()
            if isinstance(found, BaseException):
                raise found
            if isinstance(found, int):
                step(found)
            else:
                left -= 1
                yield found
    finally:
        for writer in writers:
            writer.end()


def _decoders() -> Any:
    """One decoder process beside each that writes: what it decodes is encoded meanwhile."""
    pool = processes(1, TIMEOUT)
    return nullcontext() if pool is None else pool


class _Writer(threading.Thread):
    """The parent's side of one process."""

    def __init__(self, waiting: "queue.SimpleQueue[Job]", done: "queue.SimpleQueue[Any]") -> None:
        super().__init__(daemon=True)
        self._waiting, self._done = waiting, done
        self._process: subprocess.Popen[bytes] | None = None
        self._ended = False

    def run(self) -> None:
        """Have shards written until none is left."""
        with suppress(queue.Empty):
            while not self._ended:
                job = self._waiting.get_nowait()
                try:
                    self._done.put(self._written(job))
                except Exception as error:  # told to the main thread, which waits for this shard
                    self._done.put(error)

    def end(self) -> None:
        """End the process, in the middle of its work if need be: half a shard is none."""
        self._ended = True
        if self._process is not None:
            _buried(self._process)

    def _written(self, job: Job) -> Written | BaseException:
        for _ in range(TRIES):
            if self._ended:
                break
            self._process = self._process or _started()
            try:
                pickle.dump(job, cast(Any, self._process.stdin))
                cast(Any, self._process.stdin).flush()
                while isinstance(answer := pickle.load(cast(Any, self._process.stdout)), int):
                    self._done.put(answer)
                return answer
            except (OSError, EOFError, pickle.UnpicklingError):
                _buried(self._process)
                self._process = None
        return WriterError(
            f"{job.path.name}: the process that wrote it was lost twice; was it killed for lack of memory? "
            "Give fewer --workers; the same command goes on"
        )


def _buried(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        with suppress(OSError, ValueError):  # what was not sent any more
            cast(Any, pipe).close()


def _started() -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-P", "-c", BOOT, *sys.path]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


def serve() -> None:
    """Write the shards that come on standard input, until it closes; what libraries print goes to stderr."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)

    def answer(what: Any) -> None:
        pickle.dump(what, answers)
        answers.flush()  # fails if nobody listens any more, which ends us

    with _decoders() as pool, suppress(EOFError, BrokenPipeError, KeyboardInterrupt):
        while True:
            job = pickle.load(sys.stdin.buffer)
            try:
                found = write_shard(job, pool, answer)
            except BrokenPipeError:
                raise
            except Exception as error:  # told to whom it concerns
                found = error
            answer(found)
