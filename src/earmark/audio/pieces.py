"""What lies between an open source and its samples: its reader, the checks, one channel, one rate."""

from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import soxr
from jaxtyping import Float

from earmark.audio import ffmpeg, samples, sndfile
from earmark.audio.decoder import Damaged, Decoder
from earmark.audio.errors import AudioError
from earmark.audio.layout import Layout
from earmark.audio.limits import MAX_AMPLITUDE, MAX_BLOCK_BYTES
from earmark.audio.sniff import sniff
from earmark.audio.source import Opened, opened

NO_SAMPLES = "there are no samples in it"
PIECE_FRAMES = 1 << 15
"""What is decoded and resampled at a time: larger pieces leave the processor's cache and cost half again."""


@contextmanager
def decoding(
    source: Any, on_truncated: str, layout_of: Callable[[Opened], Layout] = sniff
) -> Generator[tuple[str, Decoder, str]]:
    """Open any source with its reader: what to call it, the decoder, and the damage found so far."""
    if isinstance(source, tuple) and len(source) == 2 and isinstance(source[0], np.ndarray):
        yield "<array>", samples.decoder(source[0], source[1]), ""
        return
    with opened(source) as file:
        layout = layout_of(file)
        if layout.damage and on_truncated == "error":
            raise AudioError(file.path, layout.damage)
        reader = ffmpeg if layout.reader == "ffmpeg" else sndfile
        with reader.decoder(file, layout) as decoder:
            yield file.path, decoder, layout.damage


def block_frames(decoder: Decoder, sample_rate: int, size: int) -> int:
    """Sample frames to decode at a time for blocks of at most about `size` samples at `sample_rate`."""
    info = decoder.info
    most = MAX_BLOCK_BYTES // 4 // info.channels
    return max(1, min(PIECE_FRAMES, most, size * info.sample_rate // sample_rate))


class Checked:
    """The decoded blocks, checked and mixed to mono; counts them and notices damage on the way.

    Args:
        path: what errors call the source.
        decoder: where the blocks come from.
        size: sample frames in a block.
        damage: what is known to be wrong with the source.
        first: the sample frame at which the decoder stands.

    Attributes:
        damage: what is wrong with the source, as far as it was read; empty if nothing is.
        frames: the sample frame at which the decoder stands now.
    """

    def __init__(self, path: str, decoder: Decoder, size: int, damage: str, first: int = 0) -> None:
        self.damage = damage
        self.frames = first
        self._path, self._decoder, self._size = path, decoder, size

    def mono(self) -> Iterator[Float[np.ndarray, "sample"]]:
        """The blocks, channels averaged.

        Raises:
            AudioError: a sample is not finite or absurd, or there is none at all.
        """
        try:
            for block in self._decoder.blocks(self._size):
                self._check(block)
                self.frames += len(block)
                yield _mixed(block)
        except Damaged as error:
            if self.frames and self.frames == self._decoder.frames:
                return  # all that is declared was there; what follows is a tag or padding
            at = self.frames / self._decoder.info.sample_rate
            self.damage = self.damage or f"truncated or corrupt: after {at:.6g} s {error}"
        if not self.frames:
            raise AudioError(self._path, self.damage or self._difference() or NO_SAMPLES)
        self.damage = self.damage or self._difference()

    def _check(self, block: Float[np.ndarray, "frame channel"]) -> None:
        # the comparison is false for NaN as well
        if block.max() <= MAX_AMPLITUDE and block.min() >= -MAX_AMPLITUDE:
            return
        frame, channel = np.argwhere(~(np.abs(block) <= MAX_AMPLITUDE))[0]
        value, at = block[frame, channel], (self.frames + frame) / self._decoder.info.sample_rate
        allowed = f"samples must be finite and within {MAX_AMPLITUDE:g} times full scale"
        raise AudioError(self._path, f"a sample of {value:g} at {at:.6f} s; {allowed}")

    def _difference(self) -> str:
        declared, tolerance = self._decoder.frames, self._decoder.tolerance
        if declared is None or abs(declared - self.frames) <= tolerance:
            return ""
        if not declared or (self.frames > declared and self._decoder.more_is_fine):
            return ""
        rate = self._decoder.info.sample_rate
        word = "truncated" if self.frames < declared else "the header lies about its length"
        return f"{word}: it declares {declared / rate:.6g} s, {self.frames / rate:.6g} s are there"


def _mixed(block: Float[np.ndarray, "frame channel"]) -> Float[np.ndarray, "frame"]:
    channels = block.shape[1]
    if channels == 1:
        return block[:, 0]
    mixed = block[:, 0].copy()
    for channel in range(1, channels):
        mixed += block[:, channel]
    mixed /= channels
    return mixed


def resampled(
    blocks: Iterator[Float[np.ndarray, "sample"]], before: int, after: int
) -> Iterator[Float[np.ndarray, "sample"]]:
    """Blocks at another rate, at least one sample in all; `block_frames` says how large they should come."""
    if before == after:
        yield from blocks
        return
    resampler = soxr.ResampleStream(before, after, 1, dtype="float32", quality="HQ")
    last = np.zeros(1, np.float32)
    given = 0
    for block in blocks:
        last = block[-1:]
        out = resampler.resample_chunk(np.ascontiguousarray(block))
        given += len(out)
        if len(out):
            yield out
    tail = resampler.resample_chunk(np.zeros(0, np.float32), last=True)
    if len(tail) or not given:
        yield tail if len(tail) else last.copy()
