"""Any source to mono blocks at the rate asked for: decode, check, mix, resample."""

import warnings
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
from jaxtyping import Float

from earmark.audio.decoder import AudioInfo
from earmark.audio.errors import AudioError, AudioWarning, one_line
from earmark.audio.limits import MAX_BLOCK_BYTES, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE
from earmark.audio.pieces import NO_SAMPLES, PIECE_FRAMES, Checked, block_frames, decoding, resampled
from earmark.audio.source import Source

OnTruncated = Literal["error", "keep"]


def probe(source: Source, *, on_truncated: OnTruncated = "error") -> AudioInfo:
    """Say how long a sound is, its rate and channels, without decoding it.

    Args:
        source: a path, bytes, a binary file object, or `(samples, sample_rate)`.
        on_truncated: `error` refuses a file that is visibly not whole; `keep` describes what its header says.

    Raises:
        AudioError: the source cannot be opened or is no audio; other damage shows only in decoding.

    Example:
        >>> probe((np.zeros(8000, np.float32), 16000)).seconds
        0.5
    """
    _check_word(on_truncated)
    with decoding(source, on_truncated) as (path, decoder, _):
        if decoder.frames == 0:
            raise AudioError(path, NO_SAMPLES)
        return decoder.info


def load(
    source: Source, sample_rate: int, *, on_truncated: OnTruncated = "error"
) -> Float[np.ndarray, "sample"]:
    """Decode a whole sound to mono at one rate; see `stream`, whose blocks are joined here.

    Example:
        >>> load((np.ones(8000, np.float32), 8000), 16000).shape
        (16000,)
    """
    _check(sample_rate, on_truncated)
    sound = bytearray()  # grows in place: a list of pieces to be joined would touch twice the memory
    for piece in _pieces(source, int(sample_rate), PIECE_FRAMES, on_truncated):
        sound += np.ascontiguousarray(piece).data
    return np.frombuffer(sound, np.float32)


def stream(
    source: Source,
    sample_rate: int,
    *,
    block_seconds: float | int = 10.0,
    on_truncated: OnTruncated = "error",
) -> Iterator[Float[np.ndarray, "sample"]]:
    """Decode a sound to mono blocks at one rate, in memory that does not grow with its length.

    The resampler runs on across the borders of blocks, so that the blocks joined are the same for any
    block size.    Channels are averaged.  At least one sample comes out.

    Args:
        source: a path, bytes, a binary file object, or `(samples, sample_rate)`.
        sample_rate: Hz wanted, 1000 to 768000.
        block_seconds: about how much sound a block holds; less if it would take megabytes.
        on_truncated: `error` refuses a damaged or cut file; `keep` gives what decodes and an `AudioWarning`.

    Returns:
        Blocks of any length but 0, float32, full scale 1.

    Raises:
        AudioError: the source cannot be opened, is no audio, has no samples, is damaged, or holds a sample
            that is not finite or above 10000; raised while blocks are taken, where the fault lies.
        TypeError: no source of audio, such as an array without its rate.
        ValueError: an impossible rate or block.

    Example:
        >>> [len(block) for block in stream((np.ones(24000, np.float32), 8000), 8000, block_seconds=2)]
        [16000, 8000]
    """
    _check(sample_rate, on_truncated)
    if not block_seconds > 0:
        raise ValueError(f"block_seconds={block_seconds}; give a length above 0")
    size = max(1, int(min(block_seconds * sample_rate, MAX_BLOCK_BYTES / 4)))
    return _gathered(_pieces(source, int(sample_rate), size, on_truncated), size)


def _check(sample_rate: object, on_truncated: str) -> None:
    _check_word(on_truncated)
    if isinstance(sample_rate, bool) or not isinstance(sample_rate, int | np.integer):
        raise TypeError(f"sample_rate={sample_rate!r}; give a whole number of Hz")
    if not MIN_SAMPLE_RATE <= sample_rate <= MAX_SAMPLE_RATE:
        allowed = f"{MIN_SAMPLE_RATE} to {MAX_SAMPLE_RATE} Hz are possible"
        raise ValueError(f"sample_rate={sample_rate} Hz; {allowed}")


def _check_word(on_truncated: str) -> None:
    if on_truncated not in ("error", "keep"):
        raise ValueError(f"on_truncated={on_truncated!r}; 'error' and 'keep' are possible")


def _pieces(
    source: Any, sample_rate: int, size: int, on_truncated: str
) -> Iterator[Float[np.ndarray, "_sample"]]:
    """The sound in pieces of at most about `size` samples at `sample_rate`, often far less."""
    with decoding(source, on_truncated) as (path, decoder, damage):
        info = decoder.info
        checked = Checked(path, decoder, block_frames(decoder, sample_rate, size), damage)
        yield from resampled(checked.mono(), info.sample_rate, sample_rate)
        if checked.damage and on_truncated == "error":
            raise AudioError(path, checked.damage)
        if checked.damage:
            given = f"{checked.frames / info.sample_rate:g} s of it are given"
            warnings.warn(AudioWarning(one_line(f"{path}: {checked.damage}; {given}")), stacklevel=3)


def _gathered(
    pieces: Iterator[Float[np.ndarray, "_sample"]], size: int
) -> Iterator[Float[np.ndarray, "_sample"]]:
    """Pieces joined to blocks of at most `size` samples, unless one alone is larger."""
    held: list[Float[np.ndarray, "_sample"]] = []
    count = 0
    for piece in pieces:
        if held and count + len(piece) > size:
            yield held[0] if len(held) == 1 else np.concatenate(held)
            held, count = [], 0
        held.append(piece)
        count += len(piece)
    if held:
        yield held[0] if len(held) == 1 else np.concatenate(held)
