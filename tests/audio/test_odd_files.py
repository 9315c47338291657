"""Every odd file ends in the stated error or the stated sound, however it is asked for."""

import io
import tempfile
from pathlib import Path

import numpy as np
import pytest

from earmark.audio import AudioError, load, probe, stream

from .odd import UNSOUND, OddFile, make_all

# root may open what others may not, so the list is made once and does not depend on the collecting user
_FOLDER = tempfile.TemporaryDirectory()
FILES = make_all(Path(_FOLDER.name))
GOOD = [file for file in FILES if file.expect == "ok"]
BAD = [file for file in FILES if file.expect == "error"]


def _named(files: list[OddFile]):
    return pytest.mark.parametrize("odd", files, ids=[file.name for file in files])


def test_there_are_at_least_150_kinds():
    assert len(FILES) >= 150
    assert len({file.path for file in FILES}) == len(FILES)


def _attempt(function):
    try:
        return "", function()
    except AudioError as error:
        return error.reason, None


@_named(GOOD)
def test_an_odd_sound_is_read_as_it_is(odd):
    info = probe(odd.path)
    sound = load(odd.path, info.sample_rate)
    assert sound.dtype == np.float32
    assert np.isfinite(sound).all()
    assert len(sound) == pytest.approx(odd.frames, rel=0.03)
    assert np.sqrt(np.mean(np.square(sound, dtype=np.float64))) == pytest.approx(odd.level, rel=0.1, abs=1e-6)
    if info.seconds is not None:
        assert info.seconds == pytest.approx(len(sound) / info.sample_rate, rel=0.1, abs=0.03)


@_named([file for file in GOOD if file.name != "flac_hour_of_silence"])
def test_an_odd_sound_streams_to_the_same_as_it_loads(odd):
    whole = load(odd.path, 16000)
    pieces = list(stream(str(odd.path), 16000, block_seconds=0.03))
    assert all(len(piece) for piece in pieces)
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-6)


@_named(BAD)
def test_a_bad_file_is_an_error_that_names_it_and_says_why(odd):
    for attempt in (lambda: load(odd.path, 16000), lambda: list(stream(odd.path, 8000, block_seconds=0.01))):
        with pytest.raises(AudioError) as caught:
            attempt()
        assert odd.words in caught.value.reason
        assert str(odd.path).encode("utf-8", "replace").decode() in str(caught.value)
        assert str(caught.value).isprintable()


@_named(BAD)
def test_a_probe_of_a_bad_file_raises_nothing_but_the_stated_error(odd):
    reason, info = _attempt(lambda: probe(odd.path))
    if info is None:
        assert odd.words in reason
    else:  # only decoding can tell
        assert 1000 <= info.sample_rate <= 768000


@pytest.mark.parametrize("name", UNSOUND)
def test_bad_bytes_are_the_same_error_from_memory_and_from_a_file_object(name):
    data = UNSOUND[name][0]()
    words = UNSOUND[name][1] if data else "no bytes"
    with pytest.raises(AudioError, match="<bytes>") as caught:
        load(data, 16000)
    assert words in caught.value.reason
    with pytest.raises(AudioError, match="<file>"):
        load(io.BytesIO(data), 16000)


@_named(BAD)
def test_keeping_damage_gives_finite_sound_and_a_warning_or_the_error(odd, recwarn):
    reason, sound = _attempt(lambda: load(odd.path, 16000, on_truncated="keep"))
    if sound is None:
        assert reason
    else:
        assert len(sound)
        assert np.isfinite(sound).all()
        assert len(recwarn) == 1
