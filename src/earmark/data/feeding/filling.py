"""Filling the store of decoded clips: in parallel, by one process group at a time, and resumable."""

import errno
import json
import logging
import os
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Int64, Shaped

from earmark.audio import AudioError, displayable, probe
from earmark.audio.pool import Pool
from earmark.data.clips import Clip
from earmark.data.feeding.cache import GONE, RECORD, SAMPLE_BYTES, Cached, Store, decoders, keys_of
from earmark.data.feeding.decoding import (
    NOTHING_THERE,
    Block,
    Decoding,
    Place,
    Places,
    decode_ahead,
    encoded,
    joined,
    processes,
)
from earmark.data.feeding.samples import CLIPPED, LONG_SCALE, LONG_SECONDS, exceeds, quantized, quantized_at
from earmark.fetching import alone

log = logging.getLogger(__name__)

UNCLEAR = "it changed while it was decoded; start again"
COMMIT_SECONDS = 5.0
"""What a kill may cost of the work that was done."""
PROBED = 100
"""Clips whose lengths are looked at to estimate the room that all of them take."""


def open_cache(
    clips: Sequence[Clip],
    sample_rate: int,
    cache: Path,
    workers: int = 2,
    timeout: float = 60.0,
    progress: Callable[[int, int], None] | None = None,
) -> Cached:
    """Clips out of a store, which is filled first with those that are not in it; see `open_sounds`.

    Raises:
        OSError: the folder cannot be written to, or has too little room; what was decoded is kept.
    """
    store, places = Store(cache, sample_rate), Places(clips, sample_rate)
    keys = keys_of(places)
    if len(_missing(store, keys)):
        store.folder.mkdir(parents=True, exist_ok=True)
        with alone(store.samples):
            missing = _missing(store, keys)  # another process may have decoded them by now
            if len(missing):
                wanted = [places[index] for index in missing.tolist()]
                _check_room(store, wanted, sample_rate)
                pool = processes(workers, timeout)
                try:
                    _Filling(store, sample_rate).run(wanted, keys[missing], pool, progress)
                finally:
                    if pool is not None:
                        pool.close()
    records, reasons = store.find(keys), store.reasons()
    failures: dict[int, tuple[str, str]] = {}
    for index in np.flatnonzero(records["length"] == 0).tolist():
        reason = reasons.get(bytes(keys[index]), UNCLEAR) if keys[index] else GONE
        failures[index] = places[index].name, reason
    for failure in dict.fromkeys(failures.values()):  # each file once
        log.warning("%s", AudioError(*failure))
    return Cached(store, sample_rate, records, failures)


def _missing(store: Store, keys: Shaped[np.ndarray, "clip"]) -> Int64[np.ndarray, "missing"]:
    """The first clip of each key that is neither in the store nor known to fail."""
    absent = np.flatnonzero((store.find(keys)["length"] == 0) & (keys != b""))
    failing = np.array([*store.reasons(), b""], dtype=keys.dtype)
    absent = absent[~np.isin(keys[absent], failing)]
    return absent[np.sort(np.unique(keys[absent], return_index=True)[1])]


def _check_room(store: Store, places: Sequence[Place], sample_rate: int) -> None:
    """Compare what the clips will take, as some of them tell, with what is free."""
    lengths: list[float] = []
    for place in places[:: max(1, len(places) // PROBED)]:
        try:
            seconds = probe(encoded(place)).seconds
        except AudioError:
            continue
        if seconds is not None:
            left = max(0.0, seconds * sample_rate - place.start)
            lengths.append(left if place.length is None else min(left, place.length))
    need = round(SAMPLE_BYTES * sum(lengths) / max(1, len(lengths)) * len(places))
    free = shutil.disk_usage(store.folder).free
    if need > free:
        words = f"{len(places)} decoded clips take about {need} bytes and {free} are free"
        reason = f"{words}; make room, give another folder, or go without a cache"
        raise OSError(errno.ENOSPC, reason, str(store.folder))
    log.info("decoding %d clips, about %.1f GB, into %s", len(places), need / 1e9, store.folder)


class _Filling:
    """Decoding clips into a store, whose lock is held."""

    def __init__(self, store: Store, sample_rate: int) -> None:
        self.store, self.sample_rate = store, sample_rate
        self.records: list[tuple[bytes, int, int, float]] = []  # written but not committed
        self.failures: list[str] = []
        self.committed = time.monotonic()

    def run(
        self,
        places: Sequence[Place],
        keys: Shaped[np.ndarray, "clip"],
        pool: Pool | None,
        progress: Callable[[int, int], None] | None,
    ) -> None:
        done = self.store.records()
        end = int((done["offset"] + done["length"]).max(initial=0)) * SAMPLE_BYTES
        try:
            with _at(self.store.samples, end) as samples, _at(self.store.index, done.nbytes) as index:
                try:
                    decodings = decode_ahead(places, self.sample_rate, pool)
                    for number, (decoding, key) in enumerate(zip(decodings, keys, strict=True), start=1):
                        self._keep(decoding, bytes(key), samples)
                        if time.monotonic() - self.committed > COMMIT_SECONDS:
                            self._commit(samples, index)
                        if progress is not None:
                            progress(number, len(places))
                finally:
                    self._commit(samples, index)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            reason = "the disk is full; the clips decoded so far are kept, make room and start again"
            raise OSError(error.errno, reason, str(self.store.folder)) from None

    def _keep(self, decoding: Decoding, key: bytes, samples: BinaryIO) -> None:
        """Write one clip, or why there is none."""
        begin = samples.tell()
        try:
            scale = self._write(decoding, samples)
            length = (samples.tell() - begin) // SAMPLE_BYTES
            if not length:
                raise AudioError(decoding.place.name, NOTHING_THERE)
            self.records.append((key, begin // SAMPLE_BYTES, length, scale))
        except AudioError as error:
            samples.seek(begin)
            samples.truncate()
            entry = {"key": key.decode(), "path": displayable(decoding.place.name), "reason": error.reason}
            entry |= {"decoders": decoders(), "lost": decoding.lost, "time": time.time()}
            self.failures.append(json.dumps(entry))

    def _write(self, decoding: Decoding, samples: BinaryIO) -> float:
        """Write the samples of a clip; their scale.  Of a long one no more than a minute is held."""
        held: list[Block] = []
        count, clipped = 0, False
        for block in decoding.blocks():
            held.append(block)
            count += len(block)
            if count > LONG_SECONDS * self.sample_rate:
                for part in held:
                    samples.write(quantized_at(part, LONG_SCALE).astype("<i2").data)
                    clipped = clipped or exceeds(part, LONG_SCALE)
                held = []
        if clipped:
            log.warning(CLIPPED, decoding.place.name)
        if count > LONG_SECONDS * self.sample_rate:
            return LONG_SCALE
        values, scale = quantized(joined(held))
        samples.write(values.astype("<i2").data)
        return scale

    def _commit(self, samples: BinaryIO, index: BinaryIO) -> None:
        """Have the samples on the disk, and then the index of them."""
        if self.records:
            _sync(samples)
            index.write(np.array(self.records, RECORD).tobytes())
            _sync(index)
        if self.failures:
            with self.store.failures.open("a", encoding="ascii") as file:
                file.write("\n" + "\n".join(self.failures) + "\n")  # the last line may have been cut off
        self.records, self.failures, self.committed = [], [], time.monotonic()


def _at(path: Path, end: int) -> BinaryIO:
    """A file open for writing behind what is committed; what a killed writer left there goes."""
    path.touch()
    file = path.open("r+b")
    file.truncate(end)
    file.seek(end)
    return file


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
