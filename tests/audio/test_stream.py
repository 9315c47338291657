"""Laws of decoding: blocks are the whole, a tone stays a tone, channels average, errors are caught apart."""

import os
import pickle
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.audio import AudioError, AudioWarning, displayable, load, probe, stream

from .encoders import PCM, RATE, TONE, encoded, film, wav

NOISE = np.random.default_rng(0).uniform(-1, 1, 5000).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(
    count=st.integers(1, 5000),
    before=st.sampled_from([8000, 11025, 44100, 48000]),
    after=st.sampled_from([8000, 16000, 32000, 44100]),
    block=st.floats(1e-4, 0.7),
)
def test_blocks_of_any_size_join_to_the_whole(count, before, after, block):
    whole = load((NOISE[:count], before), after)
    pieces = np.concatenate(list(stream((NOISE[:count], before), after, block_seconds=block)))
    np.testing.assert_allclose(pieces, whole, atol=1e-6)
    assert abs(len(whole) - count * after / before) <= 1


@pytest.mark.parametrize("container", ["WAV", "FLAC", "OGG", "MP3"])
def test_a_compressed_file_in_blocks_is_the_whole(container):
    data = encoded(np.tile(NOISE * 0.5, 3), 44100, container)
    whole = load(data, 32000)
    for block in (0.001, 0.0123, 0.2):
        pieces = np.concatenate(list(stream(data, 32000, block_seconds=block)))
        np.testing.assert_allclose(pieces, whole, atol=1e-6)


@pytest.mark.parametrize(("before", "after"), [(8000, 32000), (44100, 16000), (11025, 48000), (192000, 8000)])
@pytest.mark.parametrize("hertz", [100, 440, 3000])
def test_a_tone_keeps_its_pitch_and_level_at_any_rate(before, after, hertz):
    tone = 0.5 * np.sin(2 * np.pi * hertz * np.arange(before) / before)
    heard = load((tone, before), after)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert spectrum.argmax() == hertz
    middle = heard[after // 4 : -after // 4]
    assert np.sqrt(np.mean(middle**2)) == pytest.approx(0.5 / 2**0.5, rel=0.01)


def test_what_lies_above_the_new_band_does_not_fold_back():
    tone = np.sin(2 * np.pi * 7000 * np.arange(16000) / 16000)
    assert np.abs(load((tone, 16000), 8000)[500:-500]).max() < 1e-3


def test_channels_are_averaged():
    left, right = NOISE[:1000] / 2, NOISE[1000:2000] / 2
    heard = load((np.stack([left, right]), RATE), RATE)
    np.testing.assert_allclose(heard, (left + right) / 2, atol=1e-7)


@pytest.mark.parametrize("count", [1, 2, 10, 3200])
@pytest.mark.parametrize(("before", "after"), [(768000, 1000), (1000, 768000), (44100, 32000), (8000, 8000)])
def test_the_shortest_sounds_are_legal(count, before, after):
    heard = load((np.full(count, 0.5, np.float32), before), after)
    assert len(heard) >= 1
    assert abs(len(heard) - count * after / before) <= 1
    assert np.isfinite(heard).all()


def test_the_header_cannot_choose_the_memory(tmp_path):
    path = tmp_path / "many_channels.wav"
    path.write_bytes(encoded(np.zeros((300_000, 64), np.int16), 768000))
    tracemalloc.start()
    assert sum(len(block) for block in stream(path, 16000, block_seconds=1e6)) == 6250
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20  # the whole is 73 MiB as float32
    assert max(len(block) for block in stream((np.zeros(20_000), 1000), 768000)) <= 2 << 20


@pytest.mark.parametrize("rate", [0, 16, 999, 768001, -1])
def test_an_impossible_rate_is_refused_at_once(rate):
    with pytest.raises(ValueError, match="1000 to 768000"):
        stream(wav(), rate)


def test_a_block_of_no_length_is_refused_at_once():
    with pytest.raises(ValueError, match="above 0"):
        stream(wav(), RATE, block_seconds=0)


def test_a_truncated_file_gives_what_decodes_and_one_warning_if_asked(tmp_path):
    path = tmp_path / "cut.wav"
    path.write_bytes(wav()[:-800])
    with pytest.raises(AudioError, match="truncated"):
        load(path, RATE)
    with pytest.warns(AudioWarning, match=r"cut\.wav: truncated.*0\.15 s of it are given") as caught:
        heard = load(path, RATE, on_truncated="keep")
    assert len(caught) == 1
    np.testing.assert_allclose(heard, TONE[:1200], atol=1e-4)


@pytest.mark.parametrize("container", ["FLAC", "OGG", "MP3"])
def test_the_beginning_of_a_cut_file_is_kept_as_it_was(container):
    sound = np.repeat(np.tile(NOISE * 0.3, 8), 2)
    data = encoded(sound, 44100, container)
    with pytest.warns(AudioWarning):
        heard = load(data[: len(data) * 2 // 3], 44100, on_truncated="keep")
    assert 0.3 < len(heard) / len(sound) < 0.75
    np.testing.assert_allclose(heard[:10_000], load(data, 44100)[:10_000], atol=1e-3)


def test_damage_is_found_even_where_nobody_listens_for_it():
    heard = stream(encoded(np.append(TONE, np.nan), codec="FLOAT"), RATE, block_seconds=0.05)
    assert len(next(heard)) == 400  # what came before stands
    with pytest.raises(AudioError, match=r"nan at 0\.200000 s"):
        list(heard)


def test_without_pyav_the_error_says_what_to_install(monkeypatch):
    data = film("mp4", "aac")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(AudioError, match=r'pip install "earmark\[av\]"'):
        load(data, RATE)
    assert probe(wav()).seconds == 0.2


def test_an_error_survives_the_way_between_processes():
    error = pickle.loads(pickle.dumps(AudioError("dog\n.wav", "it is a cat")))
    assert (type(error), error.path, error.reason) == (AudioError, "dog\n.wav", "it is a cat")
    assert str(error) == "dog\\n.wav: it is a cat"


@given(st.binary(min_size=1, max_size=40))
def test_any_name_can_be_shown(name):
    shown = displayable(os.fsdecode(name))
    assert shown.encode("utf-8")
    assert displayable(name) == shown
    assert str(AudioError(os.fsdecode(name), "is gone")).isprintable()


def test_text_and_unpaired_surrogates_can_be_shown():
    assert displayable("\ud83d.wav") == "\\ud83d.wav"
    assert displayable("Ö\n.wav") == "Ö\n.wav"


def test_a_probe_describes_the_file_and_not_what_comes_out():
    info = probe(encoded(np.zeros((4410, 2)), 44100, "FLAC", "PCM_24"))
    assert (info.seconds, info.sample_rate, info.channels) == (0.1, 44100, 2)
    assert (info.container, info.codec) == ("flac", "pcm_24")
    assert probe(wav(PCM * 3)).seconds == pytest.approx(0.6)
