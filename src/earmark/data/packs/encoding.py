"""The sound of a row as bytes: those of its file, or decoded to mono and encoded anew."""

import io
import math
import os
import struct
import zlib
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float

from earmark.audio import AudioError, AudioInfo, displayable, probe
from earmark.audio.ogg import with_serial
from earmark.audio.pool import Pool
from earmark.data.clips import Clip
from earmark.data.feeding.decoding import NOTHING_THERE, Decoding, Place, encoded, joined
from earmark.data.packs.rows import OPUS_RATES, Encoded, Packing, Row
from earmark.data.packs.tars import MAX_BYTES, SOUNDS
from earmark.storage import file_size, read_bytes

MAX_SAMPLES = 1 << 28
"""Of a sound that is encoded anew, as it is held in memory: an hour and a half at 48 kHz."""
MAX_FLAC_RATE = 192_000
AHEAD = 4
"""Rows that are decoded while one is encoded."""

Samples = Float[np.ndarray, "_sample"]


def encode(
    rows: Iterable[Row], packing: Packing, pool: Pool | None
) -> Iterator[tuple[Row, Encoded | AudioError]]:
    """Read the sounds of rows, in their order; one that cannot be read is an error beside the others.

    A stretch of a longer file is cut out and encoded anew, without loss, also where files are kept as they
    are.  What is louder than full scale is not clipped: it is kept as 32-bit float, or, as Opus, with a gain.

    Args:
        rows: which.
        packing: how they are to be encoded.
        pool: processes that decode, ahead of what is encoded here; None decodes here.
    """
    ahead: deque[tuple[Row, Decoding | AudioError | None, int]] = deque()
    for row in rows:
        ahead.append((row, *_begun(row, packing, pool)))
        if len(ahead) > (0 if pool is None else AHEAD):
            yield _ended(*ahead.popleft(), packing)
    for begun in ahead:
        yield _ended(*begun, packing)


def _begun(row: Row, packing: Packing, pool: Pool | None) -> tuple[Decoding | AudioError | None, int]:
    """A row on its way to a decoder with the rate it will have; None for one that is kept as it is."""
    clip = row.clip
    if packing.encode == "as-is" and clip.start == 0 and clip.end is None:
        return None, 0
    whole = Place(os.fspath(clip.path), clip.row, 0, None)
    try:
        rate = _rate(_probed(encoded(whole), whole).sample_rate, packing)
    except AudioError as error:
        return error, 0
    return Decoding(_stretch(whole, clip, rate), rate, pool), rate


def _ended(
    row: Row, decoding: Decoding | AudioError | None, rate: int, packing: Packing
) -> tuple[Row, Encoded | AudioError]:
    if isinstance(decoding, AudioError):
        return row, decoding
    try:
        return row, _kept(row) if decoding is None else _encoded(_held(decoding), rate, packing.encode)
    except AudioError as error:
        return row, error


def _kept(row: Row) -> Encoded:
    """A sound as it is, if its header can be read."""
    place = Place(os.fspath(row.clip.path), row.clip.row, 0, None)
    source = encoded(place)
    data = _bytes(source) if isinstance(source, str) else source
    info = _probed(data, place)
    kind = info.container if place.row is not None else row.clip.path.suffix[1:].lower()
    return Encoded(data, kind if kind in SOUNDS else "sound", info.seconds)


def _bytes(path: str) -> bytes:
    """All of a file, which must be a regular one of a sane size."""
    try:
        size = file_size(path)
        if not 0 < size <= MAX_BYTES:
            raise AudioError(path, f"has {size} bytes; files of 1 to {MAX_BYTES} are packed")
        return read_bytes(path)
    except OSError as error:
        raise AudioError(path, f"cannot be read: {(error.strerror or str(error)).lower()}") from None


def _probed(data: str | bytes, place: Place) -> AudioInfo:
    try:
        return probe(data)
    except AudioError as error:
        raise AudioError(displayable(place.name), error.reason) from None


def _rate(own: int, packing: Packing) -> int:
    if packing.rate is None and packing.encode == "opus":
        return next((rate for rate in OPUS_RATES if rate >= own), OPUS_RATES[-1])
    return packing.rate or own


def _stretch(whole: Place, clip: Clip, rate: int) -> Place:
    start = round(clip.start * rate)
    length = None if clip.end is None else max(0, round(clip.end * rate) - start)
    return whole.within(start, length)


def _held(decoding: Decoding) -> Samples:
    """All samples of a sound."""
    held: list[Samples] = []
    count = 0
    for block in decoding.blocks():  # to its end in any case: the pool gives them in order
        count += len(block)
        if count <= MAX_SAMPLES:
            held.append(block)
    if count > MAX_SAMPLES:
        reason = f"has more than {MAX_SAMPLES} samples; pack stretches of it, or files as they are"
        raise AudioError(decoding.place.name, reason)
    samples = joined(held)
    if not len(samples):
        raise AudioError(decoding.place.name, NOTHING_THERE)
    return samples


def _encoded(samples: Samples, rate: int, how: str) -> Encoded:
    seconds = len(samples) / rate
    peak = float(max(samples.max(), -samples.min()))
    if how == "opus":
        return Encoded(_opus(samples, rate, peak), "opus", seconds, anew=True)
    if peak > 1:
        return Encoded(_float(samples, rate), "wav", seconds, anew=True, loud=True)
    if how == "int16":
        levels = _levels(samples, 16).astype(np.int16)
        return Encoded(_written(levels, rate, "WAV", "PCM_16"), "wav", seconds, anew=True)
    if rate > MAX_FLAC_RATE:
        return Encoded(_float(samples, rate), "wav", seconds, anew=True)
    exact = bool((samples * 2**15 == np.rint(samples * 2**15)).all()) and samples.max() < 1
    levels = _levels(samples, 16).astype(np.int16) if exact else _levels(samples, 24) << 8
    data = _written(levels, rate, "FLAC", "PCM_16" if exact else "PCM_24")
    return Encoded(data, "flac", seconds, anew=True)


def _levels(samples: Samples, bits: int) -> Any:
    """Whole numbers of so many bits; libsndfile's own rounding loses one of the loudest values."""
    full = 1 << (bits - 1)
    return np.clip(np.rint(samples.astype(np.float64) * full), -full, full - 1).astype(np.int32)


def _opus(samples: Samples, rate: int, peak: float) -> bytes:
    """An Opus file; a louder sound than full scale is turned down, and its header says by how much.

    Source:
        RFC 7845, section 5.1: the output gain in 1/256 dB, by which every decoder multiplies.
    """
    gain = min(32767, math.ceil(256 * 20 * math.log10(peak))) if peak > 1 else 0
    quiet = samples * np.float32(10 ** (-gain / (20 * 256)))
    data = _written(quiet, rate, "OGG", "OPUS")
    place = data.index(b"OpusHead") + 16
    data = data[:place] + struct.pack("<h", gain) + data[place + 2 :]
    return with_serial(data, zlib.crc32(samples.tobytes()))


def _float(samples: Samples, rate: int) -> bytes:
    """A wav file of 32-bit floats; libsndfile puts the time of day beside its peak, which goes."""
    data = _written(samples, rate, "WAV", "FLOAT")
    time = data.index(b"PEAK") + 12
    return data[:time] + bytes(4) + data[time + 4 :]


def _written(samples: Any, rate: int, form: str, subtype: str) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, samples, rate, format=form, subtype=subtype)
    return out.getvalue()
