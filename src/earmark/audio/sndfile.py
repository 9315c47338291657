"""The first reader: libsndfile, through soundfile; it is given an open file, never a name."""

import os
import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import numpy as np
import soundfile
from jaxtyping import Float

from earmark.audio.decoder import AudioInfo, Damaged, Decoder
from earmark.audio.errors import AudioError
from earmark.audio.layout import Layout
from earmark.audio.limits import check_format
from earmark.audio.source import Excerpt, Opened

_NO_LENGTH = 1 << 40
"""libsndfile gives 2**36 to 2**63 frames where a header leaves the length open."""


_PEEK = 64
_ENTERABLE = re.compile(r"(pcm|float|double|ulaw|alaw|vorbis|opus|mpeg|alac|ima_adpcm|ms_adpcm)")
"""Codecs that libsndfile gives the same samples of, wherever in the file it begins."""


class _Forward(soundfile.SoundFile):
    """A SoundFile that does not seek after every read.

    soundfile's seeks cost time in compressed files, and fail at the end of a flac of unknown length.
    """

    excerpt: Excerpt | None = None
    begins = 0

    def seekable(self) -> bool:
        return False


@contextmanager
def decoder(source: Opened, layout: Layout) -> Generator[Decoder]:
    """Open a source with libsndfile.

    Args:
        source: the open file.
        layout: its container, and the links of a chained file, which are decoded one after the other.

    Raises:
        AudioError: libsndfile cannot read it, its rate or channels are impossible, or its rate changes.
    """
    spans = layout.links or ((0, source.size),)
    with _open(source, layout, spans[0]) as first:
        info, frames = _info(source, layout, first)
        for span in spans[1:]:
            with _open(source, layout, span) as link:
                frames = _plus(frames, _same_rate(source, layout, info, link))
        frames = _declared(layout, frames)
        seconds = None if frames is None else frames / info.sample_rate
        info = AudioInfo(seconds, info.sample_rate, info.channels, info.container, info.codec)

        def blocks(size: int) -> Iterator[Float[np.ndarray, "frame channel"]]:
            yield from _read(source, first, size)
            for span in spans[1:]:
                with _open(source, layout, span) as link:
                    yield from _read(source, link, size)

        def enter(frame: int) -> bool:
            first.begins = frame
            try:
                return frame < first.frames and first.seek(frame) == frame
            except soundfile.LibsndfileError:
                return False

        whole = len(spans) == 1 and _ENTERABLE.match(info.codec)
        yield Decoder(info, blocks, frames, layout.tolerance, enter=enter if whole else None)


def _open(source: Opened, layout: Layout, span: tuple[int, int]) -> _Forward:
    excerpt: Excerpt | None = None
    try:
        if source.descriptor is not None and not layout.patches and span == (0, source.size):
            os.lseek(source.descriptor, 0, os.SEEK_SET)
            return _Forward(source.descriptor, closefd=False)
        excerpt = Excerpt(source, *span, layout.patches)
        file = _Forward(cast(BinaryIO, excerpt))
        file.excerpt = excerpt
        return file
    except soundfile.LibsndfileError as error:
        failure = excerpt.failure if excerpt is not None else None
        reason = f"not readable as {layout.container}: {_words(error)}"
        raise failure or AudioError(source.path, reason) from None


def _words(error: soundfile.LibsndfileError) -> str:
    words = error.error_string.removeprefix("Error").removeprefix("Internal error").strip(" :.")
    return words or "the decoder gives no reason"


def _info(source: Opened, layout: Layout, file: _Forward) -> tuple[AudioInfo, int | None]:
    check_format(source.path, file.samplerate, file.channels)
    frames = file.frames if 0 <= file.frames < _NO_LENGTH else None
    seconds = None if frames is None else frames / file.samplerate
    return AudioInfo(seconds, file.samplerate, file.channels, layout.container, file.subtype.lower()), frames


def _same_rate(source: Opened, layout: Layout, first: AudioInfo, file: _Forward) -> int | None:
    """The frames of a later link; its channels may differ, as they are mixed anyway."""
    info, frames = _info(source, layout, file)
    if info.sample_rate != first.sample_rate:
        rates = f"from {first.sample_rate} to {info.sample_rate} Hz"
        raise AudioError(source.path, f"the sample rate changes inside the file, {rates}; split it there")
    return frames


def _declared(layout: Layout, frames: int | None) -> int | None:
    """Our own count wins where libsndfile's is not close: it estimates mp3 files, and never saw flac's."""
    if layout.frames is None or (frames is not None and abs(frames - layout.frames) <= layout.tolerance):
        return frames
    return layout.frames


def _plus(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _read(source: Opened, file: _Forward, size: int) -> Iterator[Float[np.ndarray, "frame channel"]]:
    declared, done = file.frames, file.begins
    while True:
        left = max(declared - done, _PEEK)  # at the declared end, look for more that should not be there
        block = np.empty((min(size, left), file.channels), np.float32)
        failure = ""
        try:
            count = len(file.read(out=block))
        except soundfile.LibsndfileError as error:
            failure = f"the {file.format.lower()} decoder stopped: {_words(error)}"
            count = max(0, file.tell() - done)  # what it gave before
        if file.excerpt is not None and file.excerpt.failure is not None:
            raise file.excerpt.failure
        if count:
            done += count
            yield block[:count]
        if failure:
            raise Damaged(failure)
        if not count:
            return
