"""Clips that were decoded once and are kept: 16-bit samples in one file that is mapped into memory.

The store of a sample rate is shared by all corpora and folds that use its folder, and only ever grows: a clip
is found by a key of its file's name, size and time of change, and of its place in it.  Samples are written
first and then the index, so that whatever the index lists is there; a store may be deleted at any time.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from jaxtyping import Int16, Shaped

from earmark.audio import AudioError
from earmark.data.feeding.decoded import check_part
from earmark.data.feeding.decoding import Places
from earmark.storage import address, file_size, is_address

FORMAT = 1
RECORD = np.dtype([("key", "S32"), ("offset", "<i8"), ("length", "<i8"), ("scale", "<f4")])
"""One clip: its key, its first sample in the file of samples, how many there are, and their scale."""
SAMPLE_BYTES = 2
RETRY_SECONDS = 3600.0
"""A clip at which a decoder was lost is tried again after this."""
GONE = "there is no such file"


class Store:
    """The files of one sample rate.

    Args:
        cache: the folder that the user chose.
        sample_rate: Hz.

    Attributes:
        folder: where they are; other versions of the decoders have other folders.
        samples: all samples, one clip after the other.
        index: a `RECORD` for each clip.
        failures: a line of JSON for each clip that cannot be decoded.
    """

    def __init__(self, cache: Path, sample_rate: int) -> None:
        made_by = f"{FORMAT}|{soxr.__version__}|{soundfile.__libsndfile_version__}"
        digest = hashlib.blake2b(made_by.encode(), digest_size=4).hexdigest()
        self.folder = cache.expanduser() / f"sounds-{sample_rate}-{digest}"
        self.samples = self.folder / "samples.bin"
        self.index = self.folder / "index.bin"
        self.failures = self.folder / "failures.jsonl"

    def records(self) -> Shaped[np.ndarray, "record"]:
        """What the index lists, up to the first record that is torn or whose samples are not there."""
        try:
            data, size = self.index.read_bytes(), self.samples.stat().st_size
        except FileNotFoundError:
            return np.zeros(0, RECORD)
        found = np.frombuffer(data[: len(data) // RECORD.itemsize * RECORD.itemsize], RECORD)
        whole = (found["length"] > 0) & (found["offset"] >= 0)
        whole &= (found["offset"] + found["length"]) * SAMPLE_BYTES <= size
        return found[: len(found) if whole.all() else int(np.argmin(whole))]

    def reasons(self) -> dict[bytes, str]:
        """Why clips could not be decoded, by key: failures of the present decoders, and no old accidents."""
        found: dict[bytes, str] = {}
        now, present = time.time(), decoders()
        for entry in _lines(self.failures):
            recent = not entry.get("lost") or now - entry.get("time", 0) < RETRY_SECONDS
            if recent and entry.get("decoders") == present:
                found[str(entry.get("key")).encode()] = str(entry.get("reason"))
        return found

    def find(self, keys: Shaped[np.ndarray, "clip"]) -> Shaped[np.ndarray, "clip"]:
        """The record of each clip; of length 0 where there is none."""
        records = self.records()
        found = np.zeros(len(keys), RECORD)
        if len(records):
            order = np.argsort(records["key"], kind="stable")
            places = np.searchsorted(records["key"], keys, sorter=order)
            near = records[order[np.minimum(places, len(records) - 1)]]
            same = near["key"] == keys
            found[same] = near[same]
        return found


def _lines(path: Path) -> list[dict[str, Any]]:
    """The lines of a file that are whole."""
    found: list[dict[str, Any]] = []
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return found
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # cut off when its writer was killed
            continue
        if isinstance(entry, dict):
            found.append(entry)
    return found


@lru_cache(maxsize=1)
def decoders() -> str:
    """The versions on which it depends what can be decoded."""
    try:
        av = version("av")
    except PackageNotFoundError:
        av = "none"
    return f"libsndfile {soundfile.__libsndfile_version__}, av {av}"


def keys_of(places: Places) -> Shaped[np.ndarray, "clip"]:
    """What a clip is found by; empty for one whose file is not there."""
    marks: dict[str, str | None] = {}
    for path in places.paths:
        try:
            if is_address(path):
                marks[path] = f"{address(path)}|{file_size(path)}"
                continue
            status = Path(path).stat()
            marks[path] = f"{Path(path).absolute()}|{status.st_size}|{status.st_mtime_ns}"
        except (OSError, ValueError):
            marks[path] = None
    keys = np.zeros(len(places), dtype="S32")
    for index, place in enumerate(places):
        mark = marks[place.path]
        if mark is not None:
            content = f"{mark}|{place.row}|{place.start}|{place.length}"
            keys[index] = hashlib.blake2b(os.fsencode(content), digest_size=16).hexdigest().encode()
    return keys


class Cached:
    """Clips out of a store; see `Sounds`.

    Args:
        store: where they are.
        sample_rate: Hz.
        records: one for each clip; of length 0 where it is not there.
        reasons: the name of a clip that is not there, and why, by index.
    """

    def __init__(
        self,
        store: Store,
        sample_rate: int,
        records: Shaped[np.ndarray, "clip"],
        reasons: Mapping[int, tuple[str, str]],
    ) -> None:
        self.sample_rate = sample_rate
        self._path = store.samples
        self._offsets, self._lengths = records["offset"].copy(), records["length"].copy()
        self._scales = records["scale"].copy()
        self._reasons = dict(reasons)
        self._map: Int16[np.ndarray, "sample"] | None = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_map": None}  # each process maps the file itself

    def __len__(self) -> int:
        return len(self._lengths)

    @property
    def failures(self) -> dict[int, str]:
        """Why clips are not there, by index."""
        return {index: str(AudioError(*why)) for index, why in self._reasons.items()}

    def n_samples(self, index: int) -> int:
        """The length of a clip.

        Raises:
            AudioError: it could not be decoded.
        """
        if index in self._reasons:
            raise AudioError(*self._reasons[index])
        return int(self._lengths[index])

    def read(self, index: int, start: int = 0, count: int | None = None) -> Int16[np.ndarray, "sample"]:
        """A part of a clip, fewer samples at its end; they are those in the file, and not to be written to.

        Raises:
            AudioError: it could not be decoded.
        """
        check_part(start, count)
        length = self.n_samples(index)
        if self._map is None:
            self._map = np.asarray(np.memmap(self._path, dtype="<i2", mode="r"))
        begin = int(self._offsets[index])
        stop = length if count is None else min(length, start + count)
        return self._map[begin + min(start, length) : begin + stop]

    def scale(self, index: int) -> float:
        """What full scale of a clip's samples means.

        Raises:
            AudioError: it could not be decoded.
        """
        if index in self._reasons:
            raise AudioError(*self._reasons[index])
        return float(self._scales[index])
