import multiprocessing
import pickle
import signal
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from earmark import audio
from earmark.audio import AudioError
from earmark.data import Clip
from earmark.data.feeding.samples import LONG_SECONDS
from earmark.data.feeding.sounds import FULL_SCALE, Sounds, open_sounds, waveform

RATE = 8000


def noise(seconds: float, rate: int = RATE, seed: int = 0, peak: float = 0.9) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-peak, peak, round(seconds * rate)).astype(np.float32)


def write(path: Path, sound: np.ndarray, rate: int = RATE, **how: str) -> Path:
    with soundfile.SoundFile(path, "w", rate, 1, **how) as file:
        for start in range(0, len(sound), 50_000):  # libsndfile's vorbis encoder overflows its stack else
            file.write(sound[start : start + 50_000])
    return path


@pytest.fixture
def clips(tmp_path: Path) -> list[Clip]:
    """Files of several formats and rates, stretches of one of them, and some that cannot be decoded."""
    files = {
        "a.wav": (noise(0.5, seed=1), RATE, {"subtype": "PCM_16"}),
        "b.ogg": (noise(1.2, 11025, seed=2), 11025, {}),
        "c.mp3": (noise(0.7, 16000, seed=3), 16000, {}),
        "d.flac": (noise(3.0, 12000, seed=4), 12000, {}),
        "loud.wav": (noise(0.3, seed=5, peak=5.0), RATE, {"subtype": "FLOAT"}),
    }
    paths = [write(tmp_path / name, sound, rate, **how) for name, (sound, rate, how) in files.items()]
    (tmp_path / "bad.wav").write_bytes(b"RIFF but no more")
    found = [Clip(path, ()) for path in paths]
    found += [Clip(paths[3], (), start=0.5, end=1.25), Clip(paths[3], (), start=2.5, end=9.0)]
    found += [Clip(tmp_path / "bad.wav", ()), Clip(tmp_path / "gone.wav", ()), Clip(paths[0], (), start=7.0)]
    return [*found, found[1]]


GOOD = (0, 1, 2, 3, 4, 5, 6, 10)
BAD = (7, 8, 9)


def all_of(sounds: Sounds) -> list[tuple[bytes, float] | str]:
    """Everything that can be read from clips."""
    found: list[tuple[bytes, float] | str] = []
    for index in range(len(sounds)):
        try:
            assert sounds.n_samples(index) == len(sounds.read(index))
            found.append((sounds.read(index).tobytes(), sounds.scale(index)))
        except AudioError as error:
            found.append(str(error))
    return found


@pytest.mark.parametrize("workers", [0, 1])
def test_a_clip_is_its_stretch_of_the_file_to_half_a_unit(clips, workers):
    sounds = open_sounds(clips, 16000, workers=workers)
    for index in GOOD:
        clip = clips[index]
        whole = audio.load(clip.path, 16000)
        wanted = whole[round(clip.start * 16000) : round((clip.end or 60) * 16000)]
        heard = waveform(sounds, index)
        assert heard.shape == wanted.shape
        half = sounds.scale(index) / FULL_SCALE / 2
        assert np.abs(heard - wanted).max() <= half + 4e-6  # resampling that begins later rounds otherwise


def opened(clips: list[Clip], rate: int, cache: Path | None = None) -> Sounds:
    """Without processes of their own, which take time to start."""
    return open_sounds(clips, rate, cache, workers=0)


@pytest.mark.parametrize("kept", [False, True])
def test_clips_that_cannot_be_decoded_keep_their_place_and_say_why(clips, kept, tmp_path, caplog):
    sounds = opened(clips, RATE, tmp_path / "cache" if kept else None)
    reasons = ["no data chunk|truncated|RIFF", "there is no such file", "begins where the sound has ended"]
    for index, reason in zip(BAD, reasons, strict=True):
        for ask in (sounds.n_samples, sounds.read, sounds.scale):
            with pytest.raises(AudioError, match=reason) as caught:
                ask(index)
            assert caught.value.path == str(clips[index].path)
    assert sorted(sounds.failures) == list(BAD)
    assert all(str(clips[index].path) in sounds.failures[index] for index in BAD)
    assert [str(clips[index].path) in caplog.text for index in BAD] == [True] * 3
    assert len(caplog.records) == 3


def test_the_cache_gives_the_bits_that_decoding_gives(clips, tmp_path):
    decoded = all_of(open_sounds(clips, 16000))
    assert all_of(open_sounds(clips, 16000, tmp_path / "cache")) == decoded
    assert all_of(opened(clips, 16000, tmp_path / "cache")) == decoded  # and when it is there already
    assert all_of(opened(clips, 16000, tmp_path / "other")) == decoded
    assert all_of(opened(clips, 16000)) == decoded
    assert sum(isinstance(one, str) for one in decoded) == len(BAD)


def test_a_16_bit_file_of_the_wanted_rate_keeps_its_bits(clips, tmp_path):
    stored, _ = soundfile.read(clips[0].path, dtype="int16")
    for sounds in (opened(clips, RATE), opened(clips, RATE, tmp_path / "cache")):
        np.testing.assert_array_equal(sounds.read(0), stored)
        assert sounds.scale(0) == 1.0


def test_a_clip_above_full_scale_is_not_clipped(clips, tmp_path):
    stored, _ = soundfile.read(clips[4].path, dtype="float32")
    for sounds in (opened(clips, RATE), opened(clips, RATE, tmp_path / "cache")):
        assert sounds.scale(4) == 8.0
        assert np.abs(waveform(sounds, 4) - stored).max() <= 8 / FULL_SCALE / 2


@pytest.mark.parametrize("kept", [False, True])
def test_parts_of_a_clip_are_slices_of_it(clips, kept, tmp_path):
    sounds = opened(clips, RATE, tmp_path / "cache" if kept else None)
    whole = sounds.read(5)
    end = len(whole)
    for start, count in ((0, None), (0, 10), (100, 7), (end - 3, 10), (end, 5), (10**9, None), (4, 0)):
        stop = None if count is None else start + count
        np.testing.assert_array_equal(sounds.read(5, start, count), whole[start:stop])
    for start, count in ((-1, None), (0, -1)):
        with pytest.raises(ValueError, match="give 0 or more"):
            sounds.read(5, start, count)


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("kept", [False, True])
def test_sounds_go_to_other_processes(clips, kept, tmp_path):
    sounds = open_sounds(clips, RATE, tmp_path / "cache" if kept else None, workers=int(not kept))
    expected = all_of(sounds)
    copy = pickle.loads(pickle.dumps(sounds))
    assert all_of(copy) == expected
    fork = multiprocessing.get_context("fork")
    with fork.Pool(
        1, signal.signal, (signal.SIGTERM, signal.SIG_DFL)
    ) as pool:  # where threads and handles are not inherited
        assert pool.apply(all_of, (sounds,)) == expected


LONG = LONG_SECONDS + 15


@pytest.fixture(scope="module")
def long_files(tmp_path_factory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("long")
    sound = noise(LONG, seed=9, peak=0.4)
    return {kind: write(folder / f"long.{kind}", sound) for kind in ("wav", "flac", "ogg", "mp3")}


@pytest.mark.parametrize("kind", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("rate", [RATE, 11025])
def test_windows_of_a_long_clip_are_those_of_the_whole_to_one_unit(long_files, kind, rate, tmp_path):
    path = long_files[kind]
    clips = [Clip(path, ()), Clip(path, (), start=5.0, end=LONG - 1.0), Clip(path, (), start=70.0, end=72.0)]
    fly, kept = open_sounds(clips, rate, workers=0), open_sounds(clips, rate, tmp_path, workers=0)
    for index in range(len(clips)):
        whole, length = kept.read(index), kept.n_samples(index)
        assert fly.n_samples(index) == length
        assert fly.scale(index) == kept.scale(index) == (1.0 if index == 2 else 2.0)
        for start in (0, 1, length // 2, length - 700, length + 5):
            part = fly.read(index, start, 1000)
            assert len(part) == len(whole[start : start + 1000])
            differing = np.abs(part.astype(int) - whole[start : start + 1000])
            assert differing.max(initial=0) <= (0 if rate == RATE else 1)


def test_a_window_of_a_long_clip_costs_little_of_the_whole(tmp_path):
    path = write(tmp_path / "hour.flac", np.tile(noise(10, 1000), 360), 1000)
    sounds = open_sounds([Clip(path, ())], 2000, workers=0)
    assert sounds.n_samples(0) == 3600 * 2000
    begin = time.perf_counter()
    audio.load(path, 2000)
    whole = time.perf_counter() - begin
    begin = time.perf_counter()
    for start in (2 * 10**6, 5 * 10**6, 7 * 10**6):
        sounds.read(0, start, 2000)
    assert time.perf_counter() - begin < whole


def test_what_a_read_gives_does_not_depend_on_what_was_read_before(long_files):
    clips = [Clip(long_files["ogg"], ()), Clip(long_files["wav"], (), end=3.0)]
    first, other = open_sounds(clips, 11025, workers=0), open_sounds(clips, 11025, workers=0)
    first.n_samples(0), first.read(0, 1000, 50), first.read(1)
    np.testing.assert_array_equal(first.read(0, 300_000, 999), other.read(0, 300_000, 999))
    np.testing.assert_array_equal(first.read(1, 5, 999), other.read(1, 5, 999))


def decoders_of(pid: int | None = None) -> list[psutil.Process]:
    parts = psutil.Process(pid).children(recursive=True)
    return [part for part in parts if "earmark.audio.worker" in " ".join(part.cmdline())]


def test_a_decoder_that_hangs_costs_its_clip_and_is_named(clips):
    sounds = open_sounds(clips, RATE, timeout=0.5)
    sounds.read(0)
    [process] = decoders_of()
    process.suspend()
    with pytest.raises(AudioError, match=r"b\.ogg: decoding made no progress for 0\.5 s"):
        sounds.read(1)
    assert len(sounds.read(2)) > 0
    with pytest.raises(AudioError, match="no progress"):  # a run does not see it come back
        sounds.read(1)
    assert list(sounds.failures) == [1]


def test_a_decoder_that_is_killed_costs_its_clip(clips):
    sounds = open_sounds(clips, RATE)
    sounds.read(0)
    [process] = decoders_of()
    process.suspend()
    threading.Timer(0.3, process.send_signal, [signal.SIGKILL]).start()
    with pytest.raises(AudioError, match=r"b\.ogg: .*SIGKILL"):
        sounds.read(1)
    assert len(sounds.read(2)) > 0


def test_decoders_end_with_the_sounds(clips):
    sounds = open_sounds(clips, RATE)
    sounds.read(0)
    assert decoders_of()
    del sounds
    limit = time.monotonic() + 10
    while decoders_of():
        assert time.monotonic() < limit
        time.sleep(0.02)


def test_a_hundred_thousand_clips_are_described_in_little_memory(tmp_path):
    pack = tmp_path / "pack.hdf"
    clips = [Clip(pack, (), row=row) for row in range(100_000)]
    assert len(pickle.dumps(open_sounds(clips, RATE))) < 40 * len(clips)
