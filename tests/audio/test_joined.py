"""Several sounds in one file, and lengths that only counting tells."""

import io

import av
import numpy as np
import pytest

from earmark.audio import AudioError, load
from earmark.config import ConfigError
from earmark.inference.settings import Cut

RATE = 44100


def mp3(seconds: float, kbit: int, xing: bool = False) -> bytes:
    """A constant bit rate mp3, with or without a frame that says how long it is."""
    file = io.BytesIO()
    with av.open(
        file, "w", format="mp3", options={"write_xing": str(int(xing)), "id3v2_version": "0"}
    ) as container:
        stream = container.add_stream("libmp3lame", rate=RATE, bit_rate=kbit * 1000, layout="mono")
        samples = (0.3 * np.sin(np.arange(int(seconds * RATE)) / 20)).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate = RATE
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    return file.getvalue()


@pytest.mark.parametrize("tag", [b"TAG" + bytes(125), b"APETAGEX" + b"\xd0\x07\0\0" + bytes(20)])
@pytest.mark.parametrize("xing", [False, True])
def test_what_follows_the_tag_of_a_joined_mp3_is_never_dropped_in_silence(tag: bytes, xing: bool) -> None:
    joined = mp3(1.0, 64, xing) + tag + mp3(1.0, 64, xing)
    try:
        heard = len(load(joined, 16000)) / 16000
    except AudioError:
        return
    assert heard == pytest.approx(2.0, abs=0.2)


def test_a_variable_bit_rate_without_a_stated_length_is_heard_to_its_end() -> None:
    loud_first = mp3(1.0, 256) + mp3(4.0, 32)
    assert len(load(loud_first, 16000)) / 16000 == pytest.approx(5.0, abs=0.3)


def test_a_track_that_begins_late_is_whole() -> None:
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        stream = container.add_stream("libopus", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 48000), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48000, 3 * 48000
        for packet in (*stream.encode(frame), *stream.encode(None)):
            container.mux(packet)
    assert len(load(file.getvalue(), 16000)) / 16000 == pytest.approx(1.0, abs=0.1)


@pytest.mark.parametrize("seconds", [1e305, float("nan"), 0.0, -1.0])
def test_an_impossible_window_is_a_sentence(seconds: float) -> None:
    with pytest.raises(ConfigError, match=r"window"):
        Cut(window=seconds)
