import functools
import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from earmark import audio
from earmark.audio import AudioError
from earmark.audio.stretch import Stretch

RATE = 16000
SECONDS = 8
KINDS = {
    "wav": {"subtype": "PCM_16"},
    "aiff": {"subtype": "PCM_24"},
    "w64": {"subtype": "FLOAT"},
    "flac": {},
    "ogg": {},
    "opus": {"format": "OGG", "subtype": "OPUS"},
    "mp3": {},
    "cbr": {"format": "MP3", "bitrate_mode": "CONSTANT", "compression_level": 0.99},
    "ima": {"format": "WAV", "subtype": "IMA_ADPCM"},
    "gsm": {"format": "WAV", "subtype": "GSM610"},
}


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> dict[str, Path]:
    """Noise that comes and goes, so that codecs borrow bits from quiet frames for loud ones."""
    folder = tmp_path_factory.mktemp("stretch")
    swell = np.sin(np.arange(SECONDS * RATE) / RATE * 5) > 0.2
    sound = np.random.default_rng(0).uniform(-0.5, 0.5, SECONDS * RATE) * swell
    paths: dict[str, Path] = {}
    for kind, how in KINDS.items():
        paths[kind] = folder / f"a.{kind}"
        channels = 2 if kind in ("wav", "mp3", "opus") else 1
        with soundfile.SoundFile(
            paths[kind], "w", RATE, channels, **({"format": kind.upper()} | how)
        ) as file:
            for start in range(0, len(sound), 40_000):
                file.write(np.stack([sound[start : start + 40_000]] * channels, axis=1))
    return paths


@pytest.fixture(scope="module")
def whole_of(files):
    """A file as it loads at a rate, loaded once."""
    return functools.cache(lambda kind, rate: audio.load(files[kind], rate))


def heard(stretch: Stretch) -> np.ndarray:
    return np.concatenate([np.zeros(0, np.float32), *stretch])


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    start=st.integers(0, SECONDS * RATE + 5000),
    count=st.one_of(st.none(), st.integers(0, 20_000)),
    rate=st.sampled_from([RATE, 11025, 44100, 1000]),
)
def test_a_stretch_is_that_part_of_the_whole(files, whole_of, kind, start, count, rate):
    whole = whole_of(kind, rate)
    start = start * rate // RATE
    stop = None if count is None else start + count
    stretch = Stretch(files[kind], rate, start, count)
    part, wanted = heard(stretch), whole[start:stop]
    assert part.shape == wanted.shape
    assert np.abs(part - wanted).max(initial=0) <= (
        0 if rate == RATE and kind not in ("mp3", "cbr") else 2e-6
    )
    assert stretch.total in (None, len(whole))


def test_bytes_and_arrays_have_stretches(files):
    whole = audio.load(files["flac"], RATE)
    for source in (files["flac"].read_bytes(), io.BytesIO(files["flac"].read_bytes()), (whole, RATE)):
        np.testing.assert_array_equal(heard(Stretch(source, RATE, 70_000, 99)), whole[70_000:70_099])


def test_formats_that_declare_their_length_tell_it_at_once(files):
    for kind in ("wav", "flac", "ogg", "ima"):
        stretch = Stretch(files[kind], 44100, 10, 10)
        heard(stretch)
        assert stretch.total == len(audio.load(files[kind], 44100))


def test_a_sound_that_is_too_long_is_not_decoded(files):
    for kind in ("wav", "mp3", "ogg"):
        stretch = Stretch(files[kind], RATE, 10, None, longest=2 * RATE)
        assert len(heard(stretch)) == 0
        assert stretch.too_long
        stretch = Stretch(files[kind], RATE, 7 * RATE, None, longest=2 * RATE)
        assert len(heard(stretch)) > 0
        assert not stretch.too_long


def test_a_damaged_file_is_an_error_wherever_one_looks(files, tmp_path):
    data = files["ogg"].read_bytes()
    cut = tmp_path / "cut.ogg"
    cut.write_bytes(data[: len(data) // 2])
    for start in (0, 20_000):
        with pytest.raises(AudioError, match="truncated"):
            heard(Stretch(cut, RATE, start, 100))


def test_a_file_that_is_replaced_is_read_anew(files, tmp_path):
    path = tmp_path / "a.ogg"
    path.write_bytes(files["ogg"].read_bytes())
    heard(Stretch(path, RATE, 10, 10))
    path.write_bytes(files["flac"].read_bytes())
    np.testing.assert_array_equal(heard(Stretch(path, RATE, 10, 10)), audio.load(path, RATE)[10:20])
