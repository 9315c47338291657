"""The second reader: FFmpeg through PyAV, for containers that libsndfile cannot open.

It is given an open file and the name of one demuxer, and may follow no other file or address from there.
"""

import re
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float

from earmark.audio.decoder import AudioInfo, Damaged, Decoder
from earmark.audio.errors import AudioError
from earmark.audio.layout import Layout
from earmark.audio.limits import check_format
from earmark.audio.source import Excerpt, Opened

_TOLERANCE_SECONDS = 0.25
"""Encoders' delays, cut or not, and coarse clocks make declared and decoded lengths differ by this."""


@contextmanager
def decoder(source: Opened, layout: Layout) -> Generator[Decoder]:
    """Open a source with FFmpeg.

    The first frame is decoded at once: some codecs know their rate only then.

    Raises:
        AudioError: PyAV is not installed, FFmpeg cannot read the file, or it has no audio track.
    """
    try:
        import av  # the optional reader, and slow to import
    except ImportError:
        how = 'needs PyAV; install it with: pip install "earmark[av]"'
        raise AudioError(source.path, f"reading {layout.container} {how}") from None
    excerpt = Excerpt(source)
    try:
        options = {"protocol_whitelist": "none"}
        container = av.open(excerpt, format=layout.ffmpeg_format, container_options=options)
    except Exception as error:  # PyAV lets many kinds through
        raise excerpt.failure or _unreadable(source, layout, error) from None
    with container:
        yield _decoder(source, layout, container, excerpt)


def _unreadable(source: Opened, layout: Layout, error: Exception) -> AudioError:
    return AudioError(source.path, layout.damage or f"not readable as {layout.container}: {_words(error)}")


def _words(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()


def _decoder(source: Opened, layout: Layout, container: Any, excerpt: Excerpt) -> Decoder:
    if not container.streams.audio:
        raise AudioError(source.path, f"there is no audio track in this {layout.container} file")
    stream = container.streams.audio[0]
    frames = _samples(container, stream, excerpt)
    try:
        codec = stream.codec_context.name
        seconds = _declared_seconds(container, stream)
        rate, first = next(frames, (0, np.zeros((0, 1), np.float32)))
    except Exception as error:  # PyAV lets many kinds through
        raise excerpt.failure or _unreadable(source, layout, error) from None
    if rate == 0:
        raise AudioError(source.path, layout.damage or "the audio track has no samples")
    check_format(source.path, rate, first.shape[1])
    info = AudioInfo(seconds, rate, first.shape[1], layout.container, codec)

    def same(pair: tuple[int, Float[np.ndarray, "frame channel"]]) -> Float[np.ndarray, "frame channel"]:
        if (pair[0], pair[1].shape[1]) != (rate, info.channels):
            raise AudioError(source.path, "the rate or the channels change inside the file; split it there")
        return pair[1]

    def blocks(size: int) -> Iterator[Float[np.ndarray, "frame channel"]]:
        return _gathered(chain([first], map(same, frames)), size)

    if layout.frames is not None:  # counted by ourselves, where the container only guesses
        return Decoder(info, blocks, layout.frames, layout.tolerance)
    declared = None if seconds is None else round(seconds * rate)
    return Decoder(info, blocks, declared, round(_TOLERANCE_SECONDS * rate), more_is_fine=True)


def _gathered(
    frames: Iterator[Float[np.ndarray, "frame channel"]], size: int
) -> Iterator[Float[np.ndarray, "frame channel"]]:
    """Blocks of about `size` from the small pieces of a codec; damage comes after what was whole."""
    held: list[Float[np.ndarray, "frame channel"]] = []
    count, damage = 0, None
    while damage is None:
        try:
            frame = next(frames, None)
        except Damaged as error:
            frame, damage = None, error
        if count and (frame is None or count + len(frame) > size):
            yield np.concatenate(held)
            held, count = [], 0
        if frame is None:
            break
        held.append(frame)
        count += len(frame)
    if damage is not None:
        raise damage


def _samples(
    container: Any, stream: Any, excerpt: Excerpt
) -> Iterator[tuple[int, Float[np.ndarray, "frame channel"]]]:
    """The rate and the samples of each frame; the one border that nothing of PyAV's crosses."""
    try:
        for frame in container.decode(stream):
            samples = _as_float32(frame)
            if len(samples):
                yield frame.sample_rate, samples
    except Exception as error:  # PyAV lets many kinds through
        if excerpt.failure is not None:
            raise excerpt.failure from None
        raise Damaged(f"the decoder stopped: {_words(error)}") from None


def _as_float32(frame: Any) -> Float[np.ndarray, "frame channel"]:
    values = frame.to_ndarray()
    channels = frame.layout.nb_channels
    values = values.T if frame.format.is_planar else values.reshape(-1, channels)
    if values.dtype.kind == "f":
        with np.errstate(over="ignore", invalid="ignore"):  # becomes infinite, which is refused a step later
            return values.astype(np.float32)
    half = 2.0 ** (8 * values.dtype.itemsize - 1)
    offset = half if values.dtype.kind == "u" else 0.0
    return ((values.astype(np.float64) - offset) / half).astype(np.float32)


def _declared_seconds(container: Any, stream: Any) -> float | None:
    """What the track, or else a file of one track, says about its length."""
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    late = 0.0  # what follows is the time at which the track ends, and it may begin late
    if stream.start_time is not None and stream.time_base is not None:
        late = max(0.0, float(stream.start_time * stream.time_base))
    clock = re.fullmatch(r"(\d+):(\d\d):(\d\d\.\d+)", stream.metadata.get("DURATION", ""))
    if clock:
        return 3600 * int(clock[1]) + 60 * int(clock[2]) + float(clock[3]) - late
    if len(container.streams) == 1 and container.duration is not None:
        return container.duration / 1e6 - late
    return None
