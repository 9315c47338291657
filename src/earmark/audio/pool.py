"""Several files decoded at once, in processes of their own, and handed out in order."""

import json
import os
import threading
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from earmark.audio.process import DecoderProcess, EndedError, StalledError
from earmark.audio.worker import BLOCK, END

Block = Float[np.ndarray, "sample"]

BUDGET_BYTES = 64 * 1024**2
"""Decoded samples that wait for the model, all files together."""
HEAD_BYTES = 16 * 1024**2
"""What the oldest file may add, so that it moves on however full the others have made the budget."""


@dataclass
class Job:
    """One sound on its way through the pool.

    Attributes:
        request: what the decoder is asked for.
        data: the encoded sound, if it is no file.
        blocks: decoded samples that wait to be read.
        buffered: their bytes.
        reason: why it failed; None as long as it did not.
        lost: the decoder was lost with it: it hung or was killed, which may be no fault of the sound.
        notes: warnings about damage.
        total: samples of the whole sound, if that is known after a stretch of it.
        too_long: nothing was given, as the sound is longer than was asked for.
        finished: nothing more will come.
    """

    request: dict[str, Any]
    data: bytes = b""
    blocks: deque[Block] = field(default_factory=deque)
    buffered: int = 0
    reason: str | None = None
    lost: bool = False
    notes: list[str] = field(default_factory=list)
    total: int | None = None
    too_long: bool = False
    finished: bool = False


class Pool:
    """Decoder processes, each with a thread that reads its answers.

    Files are begun in the order in which they are submitted and must be read in that order.  The oldest one
    may always go on, so that nothing waits in a circle; the others share a budget of bytes.

    Args:
        workers: number of processes, 1 or more; they start with the first file, or by `start`.
        timeout: seconds without a byte after which a decoder is killed and its file given up.
    """

    def __init__(self, workers: int, timeout: float = 60.0) -> None:
        self.workers = workers
        self.timeout = timeout
        self._changed = threading.Condition()
        self._queue: deque[Job] = deque()
        self._order: deque[Job] = deque()
        self._buffered = 0
        self._closing = False
        self._failure: BaseException | None = None
        self._processes: set[DecoderProcess] = set()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        """Start the processes now, if they are not; else the first file does."""
        while len(self._threads) < self.workers:
            thread = threading.Thread(target=self._serve, daemon=True)
            self._threads.append(thread)
            thread.start()

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def submit(self, source: str | os.PathLike[str] | bytes, sample_rate: int, on_truncated: str) -> Job:
        """Put a file, or the bytes of one, at the end of the queue; all of it is decoded."""
        return self._submit(source, {"sample_rate": sample_rate, "on_truncated": on_truncated})

    def submit_stretch(
        self,
        source: str | os.PathLike[str] | bytes,
        sample_rate: int,
        start: int = 0,
        count: int | None = None,
        longest: int | None = None,
    ) -> Job:
        """Put a stretch of a file, or of the bytes of one, at the end of the queue; see `Stretch`."""
        request = {"sample_rate": sample_rate, "start": start, "count": count, "longest": longest}
        return self._submit(source, request)

    def _submit(self, source: str | os.PathLike[str] | bytes, request: dict[str, Any]) -> Job:
        is_bytes = isinstance(source, bytes)
        job = Job(request, source) if is_bytes else Job(request | {"path": _sendable(source)})
        self.start()
        with self._changed:
            self._queue.append(job)
            self._order.append(job)
            self._changed.notify_all()
        return job

    def read(self, job: Job) -> Iterator[Block]:
        """Blocks of the oldest job as they come; afterwards `job.reason` says whether it failed.

        Raises:
            DecoderError: no decoder process can be started at all.
        """
        while True:
            with self._changed:
                while not (job.blocks or job.finished or self._failure):
                    self._changed.wait()
                if self._failure is not None:
                    raise self._failure
                if not job.blocks:
                    self._order.remove(job)
                    self._changed.notify_all()
                    return
                block = job.blocks.popleft()
                job.buffered -= block.nbytes
                self._buffered -= block.nbytes
                self._changed.notify_all()
            yield block

    def close(self) -> None:
        """End all processes and threads; what is still queued is dropped."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            processes = list(self._processes)
        for process in processes:
            process.kill()
        for thread in self._threads:
            thread.join(timeout=5)

    def _serve(self) -> None:
        """A thread's life: keep one process at work, a fresh one after each accident."""
        process: DecoderProcess | None = None
        try:
            process = self._start()
            while job := self._next():
                if not process.alive:
                    self._bury(process)
                    process = self._start()
                if not self._decode(process, job):
                    self._bury(process)
                    process = self._start()
        except BaseException as error:
            with self._changed:
                self._failure = self._failure or (None if self._closing else error)
                self._changed.notify_all()
        finally:
            if process is not None:
                self._bury(process)

    def _start(self) -> DecoderProcess:
        process = DecoderProcess()
        with self._changed:
            self._processes.add(process)
            closing = self._closing
        if closing:
            process.kill()
        process.wait_until_ready()
        return process

    def _bury(self, process: DecoderProcess) -> None:
        process.bury()
        with self._changed:
            self._processes.discard(process)

    def _next(self) -> Job | None:
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            return None if self._closing else self._queue.popleft()

    def _decode(self, process: DecoderProcess, job: Job) -> bool:
        """Have one file decoded; whether the process is fit for another."""
        try:
            process.ask(job.request, job.data)
            kind, payload = process.frame(self.timeout)
            while kind == BLOCK:
                self._deliver(job, np.frombuffer(payload, dtype=np.float32))
                kind, payload = process.frame(self.timeout)
        except StalledError:
            self._lose(job, f"decoding made no progress for {self.timeout:g} s and was given up")
            return False
        except EndedError:
            self._lose(job, process.cause_of_death())
            return False
        self._finish(job, json.loads(payload), failed=kind != END)
        return True

    def _deliver(self, job: Job, block: Block) -> None:
        with self._changed:
            while not (self._closing or self._has_room(job, block.nbytes)):
                self._changed.wait()
            job.blocks.append(block)
            job.buffered += block.nbytes
            self._buffered += block.nbytes
            self._changed.notify_all()

    def _has_room(self, job: Job, size: int) -> bool:
        if job is self._order[0]:
            return not job.blocks or job.buffered + size <= HEAD_BYTES
        return self._buffered + size <= BUDGET_BYTES

    def _lose(self, job: Job, reason: str) -> None:
        job.lost = True
        self._finish(job, {"reason": reason}, failed=True)

    def _finish(self, job: Job, answer: dict[str, Any], failed: bool) -> None:
        with self._changed:
            job.reason = answer["reason"] if failed else None
            job.notes, job.total = answer.get("warnings", []), answer.get("total")
            job.too_long = answer.get("too_long", False)
            job.finished = True
            self._changed.notify_all()


def _sendable(path: str | os.PathLike[str]) -> str:
    return os.fsencode(path).decode("latin-1")  # bytes as they are: names need not be UTF-8
