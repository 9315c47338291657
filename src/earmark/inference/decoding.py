"""Decoding ahead of the model: several files at once in processes of their own, handed out in order."""

import json
import os
import threading
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float

from earmark.audio import AudioError, AudioWarning, Source, stream
from earmark.inference.process import DecoderProcess, EndedError, StalledError
from earmark.inference.settings import Run
from earmark.inference.sources import Item
from earmark.inference.worker import BLOCK, END

Block = Float[np.ndarray, "sample"]

BUDGET_BYTES = 64 * 1024**2
"""Decoded samples that wait for the model, all files together."""
HEAD_BYTES = 16 * 1024**2
"""What the oldest file may add, so that it moves on however full the others have made the budget."""


@dataclass
class Job:
    """One file on its way through the pool."""

    request: dict[str, Any]
    blocks: deque[Block] = field(default_factory=deque)
    buffered: int = 0
    reason: str | None = None
    notes: list[str] = field(default_factory=list)
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

    def submit(self, path: str | os.PathLike[str], sample_rate: int, on_truncated: str) -> Job:
        """Put a file at the end of the queue."""
        self.start()
        name = os.fsencode(path).decode("latin-1")  # bytes as they are: names need not be UTF-8
        job = Job({"path": name, "sample_rate": sample_rate, "on_truncated": on_truncated})
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
        process.kill()
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
            process.ask(job.request)
            kind, payload = process.frame(self.timeout)
            while kind == BLOCK:
                self._deliver(job, np.frombuffer(payload, dtype=np.float32))
                kind, payload = process.frame(self.timeout)
        except StalledError:
            self._finish(job, f"decoding made no progress for {self.timeout:g} s and was given up")
            return False
        except EndedError:
            self._finish(job, process.cause_of_death())
            return False
        answer = json.loads(payload)
        self._finish(job, None if kind == END else answer["reason"], answer.get("warnings", []))
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

    def _finish(self, job: Job, reason: str | None, notes: Iterable[str] = ()) -> None:
        with self._changed:
            job.reason, job.notes, job.finished = reason, list(notes), True
            self._changed.notify_all()


def decode(
    items: Iterable[Item], sample_rate: int, run: Run, pool: Pool | None
) -> Iterator[tuple[Item, Iterator[Block]]]:
    """Each item with its blocks, in order; a bounded number of files is decoded ahead.

    The blocks of an item must be read to their end before the next item is asked for.  Reading them raises
    `AudioError` under the item's name.

    Args:
        items: what to decode.  Paths go through the pool; arrays, bytes and open files are decoded here.
        sample_rate: rate of the blocks, in Hz.
        run: of which `on_truncated` is used.
        pool: decoder processes; None decodes everything in this process.
    """
    ahead: deque[tuple[Item, Job | None]] = deque()
    depth = 0 if pool is None else 16 + 4 * pool.workers
    for item in items:
        job = None
        if pool is not None and isinstance(item.source, str):
            job = pool.submit(item.source, sample_rate, run.on_truncated)
        ahead.append((item, job))
        if len(ahead) > depth:
            yield _blocks(*ahead.popleft(), sample_rate, run, pool)
    while ahead:
        yield _blocks(*ahead.popleft(), sample_rate, run, pool)


def _blocks(
    item: Item, job: Job | None, sample_rate: int, run: Run, pool: Pool | None
) -> tuple[Item, Iterator[Block]]:
    if item.error is not None or item.source is None:
        return item, _failed(item)
    if job is not None and pool is not None:
        return item, _from_pool(item, job, pool)
    return item, _from_here(item, item.source, sample_rate, run)


def _failed(item: Item) -> Iterator[Block]:
    raise AudioError(item.name, item.error or "there is nothing to read")
    yield


def _from_pool(item: Item, job: Job, pool: Pool) -> Iterator[Block]:
    yield from pool.read(job)
    for note in job.notes:
        warnings.warn(AudioWarning(note), stacklevel=2)
    if job.reason is not None:
        raise AudioError(item.name, job.reason)


def _from_here(item: Item, source: Source, sample_rate: int, run: Run) -> Iterator[Block]:
    try:
        yield from stream(source, sample_rate, on_truncated=run.on_truncated)
    except AudioError as error:
        raise AudioError(item.name, error.reason) from None
