"""Where sound comes from: paths, bytes, file objects and arrays."""

import io
import os
import threading

import numpy as np
import pytest

from earmark.audio import AudioError, load, probe
from earmark.audio.samples import decoder
from earmark.storage import committed

from .encoders import PCM, RATE, TONE, encoded, film, wav


def test_every_kind_of_source_gives_the_same_sound(tmp_path):
    path = tmp_path / "tone.wav"
    path.write_bytes(wav())
    expected = load(path, RATE)
    np.testing.assert_allclose(expected, TONE, atol=1e-4)
    with path.open("rb") as file, path.open("rb", buffering=0) as raw:
        for source in (str(path), wav(), bytearray(wav()), io.BytesIO(wav()), file, raw):
            np.testing.assert_array_equal(load(source, RATE), expected)
        assert not file.closed
        np.testing.assert_array_equal(load(file, RATE), expected)  # a second time, from its start
    np.testing.assert_array_equal(load((np.frombuffer(PCM, "<i2"), RATE), RATE), expected)


def test_a_pipe_is_read_through_a_file():
    out, into = os.pipe()

    def write():
        with os.fdopen(into, "wb") as pipe:
            pipe.write(wav())

    writer = threading.Thread(target=write)
    writer.start()
    with os.fdopen(out, "rb") as pipe:
        assert len(load(pipe, RATE)) == len(TONE)
    writer.join()


def test_a_file_object_for_the_second_reader():
    assert len(load(io.BytesIO(film("matroska", "flac")), RATE)) == RATE // 2


class Failing(io.BytesIO):
    """A file object whose later bytes cannot be read."""

    name = "broken.wav"

    def read(self, count=-1, /):
        if self.tell() + count > 5000:
            raise OSError("the network is gone")
        return super().read(count)


@pytest.mark.parametrize("data", [wav(PCM * 10), encoded(np.tile(TONE, 20), container="FLAC")])
def test_a_file_object_that_fails_on_the_way_is_named(data):
    with pytest.raises(AudioError, match=r"broken\.wav: .*the network is gone"):
        load(Failing(data), RATE)


def test_a_file_object_that_fails_inside_ffmpeg_is_named():
    with pytest.raises(AudioError, match=r"broken\.wav: .*the network is gone"):
        load(Failing(film("matroska", "pcm_s16le")), RATE)


def test_a_closed_file_object_is_an_error():
    file = io.BytesIO(wav())
    file.close()
    with pytest.raises(AudioError, match="closed file"):
        load(file, RATE)


def test_a_file_open_as_text_says_how_to_open_it(tmp_path):
    path = tmp_path / "text.wav"
    path.write_bytes(b"plain")
    with path.open() as file, pytest.raises(TypeError, match="binary mode"):
        load(file, RATE)


@pytest.mark.parametrize("name", ["no\0name.wav", "\ud83d\ude00.wav", ""])
def test_a_name_that_no_file_can_have_is_an_error(name):
    with pytest.raises(AudioError):
        load(name, RATE)


def test_nothing_is_left_open(tmp_path):
    path = tmp_path / "tone.wav"
    path.write_bytes(wav())
    (tmp_path / "bad.wav").write_bytes(wav()[:-9])
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0  # noqa: PTH112, PTH208
    for _ in range(20):
        load(path, RATE)
        with pytest.raises(AudioError):
            load(tmp_path / "bad.wav", RATE)
    after = len(os.listdir("/proc/self/fd")) if before else 0  # noqa: PTH208
    assert after == before


@pytest.mark.parametrize(
    "kind",
    [
        "int8",
        "uint8",
        "int16",
        "uint16",
        "int32",
        "uint32",
        "int64",
        "uint64",
        ">i2",
        ">f4",
        "float16",
        "float64",
    ],
)
def test_numbers_of_any_width_have_the_same_full_scale(kind):
    kind = np.dtype(kind)
    tone = TONE.astype(np.float64)
    if kind.kind != "f":
        half = 2.0 ** (8 * kind.itemsize - 1)
        tone = np.floor(tone * half) + (half if kind.kind == "u" else 0)
    heard = load((tone.astype(kind), RATE), RATE)
    np.testing.assert_allclose(heard, TONE, atol=2**-7 if kind.itemsize == 1 else 1e-3)


def test_the_longer_axis_is_time():
    both = np.stack([TONE, -TONE / 2])
    np.testing.assert_allclose(load((both, RATE), RATE), TONE / 4, atol=1e-7)
    np.testing.assert_allclose(load((both.T, RATE), RATE), TONE / 4, atol=1e-7)
    assert probe((both, RATE)).channels == 2


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros(0, np.float32), "no samples"),
        (np.zeros((0, 2)), "no samples"),
        (np.zeros((1, 0)), "no samples"),
        (np.zeros((2, 2)), "cannot be told apart"),
        (np.zeros((65, 100)), "65 channels"),
        (np.zeros((2, 3, 100)), "3 axes"),
        (np.array(0.5), "0 axes"),
        (np.zeros(9, bool), "type bool"),
        (np.zeros(9, complex), "type complex128"),
        (np.array([None, 1]), "type object"),
        (np.array(["a"]), "type <U1"),
        (np.zeros(9, "M8[s]"), "type datetime64"),
        (np.zeros(9, [("left", "f4")]), "type"),
        (np.ma.masked_equal(np.zeros(9), 0), "masked"),
        (np.array([0, np.nan]), "nan at"),
        (np.array([0, 1e300]), "inf at"),
        (np.array([0, -np.inf], np.float16), "-inf at"),
        (np.array([0, 10001.0]), "10001 at"),
    ],
)
def test_an_array_that_is_no_sound_is_an_error(samples, words):
    for rate in (RATE, 16000):
        with pytest.raises(AudioError) as caught:
            load((samples, RATE), rate)
        assert words in caught.value.reason
        assert caught.value.path == "<array>"


@pytest.mark.parametrize("rate", [0, 16, 999, 1e9, np.nan, np.inf, 8000.5, "8000", None, True, -8000])
def test_an_array_needs_a_possible_rate(rate):
    with pytest.raises(AudioError, match="rate"):
        decoder(TONE, rate)


@pytest.mark.parametrize("rate", [8000, 8000.0, np.int32(8000), np.float32(8000)])
def test_a_whole_rate_of_any_type_will_do(rate):
    assert decoder(TONE, rate).info.seconds == 0.2


def test_a_pipe_without_end_is_given_up(monkeypatch):
    monkeypatch.setattr("earmark.audio.source.MAX_COPY_BYTES", 3 << 20)

    class Endless(io.RawIOBase):
        def readable(self):
            return True

        def readinto(self, buffer):
            return len(buffer)

    with pytest.raises(AudioError, match="more than 3145728 bytes; save it to a file"):
        load(Endless(), 16000)


def test_a_file_elsewhere_is_heard_as_the_one_that_lies_here(tmp_path):
    (tmp_path / "tone.wav").write_bytes(wav())
    with committed(f"memory://{tmp_path.name}/tone.wav") as file:
        file.write(wav())
    for elsewhere in (f"file://{tmp_path}/tone.wav", f"memory://{tmp_path.name}/tone.wav"):
        np.testing.assert_array_equal(load(elsewhere, 8000), load(tmp_path / "tone.wav", 8000))
    with pytest.raises(AudioError, match=r"memory://nowhere/a\.wav: cannot be opened: .*no such file"):
        load("memory://nowhere/a.wav", 8000)
