import errno
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from earmark.audio import AudioError
from earmark.data import Clip
from earmark.data.feeding import filling
from earmark.data.feeding.cache import RECORD, Store
from earmark.data.feeding.sounds import open_sounds

RATE = 8000
BUILD = """
import sys
from pathlib import Path
from earmark.data import Clip
from earmark.data.feeding import filling
from earmark.data.feeding.sounds import open_sounds
filling.COMMIT_SECONDS = 0.0
clips = [Clip(path, ()) for path in sorted(Path(sys.argv[1]).glob("*.wav"))]
say = lambda done, total: print(done, flush=True)
open_sounds(clips, 8000, Path(sys.argv[2]), workers=int(sys.argv[3]), progress=say)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Forty short files, one of them no sound."""
    folder = tmp_path_factory.mktemp("files")
    for index in range(40):
        sound = np.random.default_rng(index).uniform(-0.5, 0.5, 400 + 37 * index)
        soundfile.write(folder / f"{index:03d}.wav", sound, RATE if index % 2 else 11025)
    (folder / "017.wav").write_bytes(b"no sound at all")
    return folder


@pytest.fixture
def clips(folder: Path) -> list[Clip]:
    return [Clip(path, ()) for path in sorted(folder.glob("*.wav"))]


def content(cache: Path) -> tuple[bytes, bytes]:
    store = Store(cache, RATE)
    return store.samples.read_bytes(), store.index.read_bytes()


def build(folder: Path, cache: Path, workers: int = 0) -> "subprocess.Popen[str]":
    command = [sys.executable, "-c", BUILD, str(folder), str(cache), str(workers)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_cache_whose_builder_was_killed_is_finished_to_the_same_bytes(folder, clips, workers, tmp_path):
    open_sounds(clips, RATE, tmp_path / "whole", workers=0)
    for kill_after in (3, 9, 30):
        process = build(folder, tmp_path / "killed", workers)
        for line in process.stdout:
            if int(line) >= kill_after:
                process.kill()
                break
        process.stdout.close()
        process.wait()
    left = len(Store(tmp_path / "killed", RATE).records())
    assert left >= 3
    told = []
    open_sounds(clips, RATE, tmp_path / "killed", workers=0, progress=lambda *now: told.append(now))
    assert len(told) <= 40 - left  # what was done is not done again
    assert content(tmp_path / "killed") == content(tmp_path / "whole")


def test_what_a_torn_write_left_is_decoded_again(clips, tmp_path):
    open_sounds(clips, RATE, tmp_path, workers=0)
    whole, store = content(tmp_path), Store(tmp_path, RATE)
    for cut_samples, cut_index in (
        (0, 1),
        (0, RECORD.itemsize + 5),
        (10, 0),
        (5000, 0),
        (10**9, 0),
        (0, 10**9),
    ):
        for path, cut in ((store.samples, cut_samples), (store.index, cut_index)):
            os.truncate(path, max(0, path.stat().st_size - cut))
        sounds = open_sounds(clips, RATE, tmp_path, workers=0)
        assert content(tmp_path) == whole
        assert len(sounds.failures) == 1
    with store.index.open("ab") as file:
        file.write(bytes(3 * RECORD.itemsize))  # zeros, as after a power cut
    assert not open_sounds(clips, RATE, tmp_path, workers=0).failures.keys() - {17}


def test_two_builders_decode_each_clip_once(folder, clips, tmp_path):
    processes = [build(folder, tmp_path / "both") for _ in range(2)]
    done = [len(process.communicate()[0].splitlines()) for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert sum(done) == 40
    open_sounds(clips, RATE, tmp_path / "one", workers=0)
    assert content(tmp_path / "both") == content(tmp_path / "one")


def test_a_builder_that_waits_says_so(clips, tmp_path, caplog):
    store = Store(tmp_path, RATE)
    store.folder.mkdir()
    held, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        with filling.alone(store.samples):
            held.set()
            go_on.wait(30)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(30)
    threading.Timer(0.3, go_on.set).start()
    open_sounds(clips[:2], RATE, tmp_path, workers=0)
    thread.join()
    assert "waiting for another process" in caplog.text


def test_folds_share_what_is_decoded(clips, tmp_path):
    told: list[tuple[int, int]] = []
    open_sounds(clips[:10], RATE, tmp_path, workers=0)
    open_sounds(clips[5:15], RATE, tmp_path, workers=0, progress=lambda *now: told.append(now))
    assert told == [(done, 5) for done in range(1, 6)]
    both = open_sounds(clips[:15], RATE, tmp_path, workers=0)
    anew = open_sounds(clips[:15], RATE, workers=0)
    assert all(np.array_equal(both.read(i), anew.read(i)) for i in range(15))


def test_a_file_that_changed_is_decoded_again(tmp_path):
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full(100, 0.25), RATE)
    assert open_sounds([Clip(path, ())], RATE, tmp_path, workers=0).read(0)[0] == 8192
    soundfile.write(path, np.full(100, 0.5), RATE)
    os.utime(path, (0, 0))
    assert open_sounds([Clip(path, ())], RATE, tmp_path, workers=0).read(0)[0] == 16384


def test_a_failure_is_not_tried_again_until_the_file_or_the_decoders_change(tmp_path, monkeypatch):
    path = tmp_path / "a.wav"
    path.write_bytes(b"no sound")
    clip, told = Clip(path, ()), []

    def reopen() -> dict[int, str]:
        del told[:]
        return open_sounds([clip], RATE, tmp_path, workers=0, progress=lambda *now: told.append(now)).failures

    assert "not audio" in reopen()[0]
    assert len(told) == 1
    assert "not audio" in reopen()[0]
    assert not told
    monkeypatch.setattr("earmark.data.feeding.cache.decoders", lambda: "newer ones")
    reopen()
    assert len(told) == 1
    soundfile.write(path, np.zeros(10), RATE)
    assert not reopen()


def workers_of(pid: int) -> list[psutil.Process]:
    alive = [p for p in psutil.Process(pid).children() if p.status() != psutil.STATUS_ZOMBIE]
    return [p for p in alive if "earmark.audio.worker" in " ".join(p.cmdline())]


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGSTOP])
def test_a_decoder_that_is_lost_while_filling_costs_one_clip(clips, tmp_path, end):
    hit: list[int] = []

    def strike(done: int, total: int) -> None:
        if done != 1 or hit:  # afterwards one may die while it is looked at
            return
        found = workers_of(os.getpid())
        if found:
            hit.append(found[0].pid)
            os.kill(found[0].pid, end)

    long = tmp_path / "long.wav"  # what is being decoded when the blow falls
    soundfile.write(long, np.random.default_rng(0).uniform(-0.5, 0.5, 60 * 192000), 192000)
    some = [clips[0], Clip(long, ()), *clips[1:6]]
    sounds = open_sounds(some, RATE, tmp_path, workers=1, timeout=1.0, progress=strike)
    assert hit
    assert list(sounds.failures) == [1]
    assert all("SIGKILL" in why or "no progress for 1 s" in why for why in sounds.failures.values())
    assert all(sounds.n_samples(index) > 0 for index in (0, 2, 3, 4, 5, 6))


def test_an_accident_is_tried_again_after_an_hour(clips, tmp_path, monkeypatch):
    store = Store(tmp_path, RATE)
    open_sounds(clips[:1], RATE, tmp_path, workers=0)
    key = filling.keys_of(filling.Places(clips[1:2], RATE))[0].decode()
    entry = {"key": key, "reason": "ended by SIGKILL", "decoders": filling.decoders(), "lost": True}
    for age, failed in ((10.0, True), (4000.0, False)):
        store.failures.write_text(json.dumps(entry | {"time": time.time() - age}) + "\n" + '{"key": "torn')
        sounds = open_sounds(clips[1:2], RATE, tmp_path, workers=0)
        assert bool(sounds.failures) == failed


def test_too_little_room_is_said_beforehand_with_the_bytes(clips, tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(filling.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match=r"40 decoded clips take about \d+ bytes and 1000 are free") as caught:
        open_sounds(clips, RATE, tmp_path, workers=0)
    assert caught.value.errno == errno.ENOSPC
    assert not Store(tmp_path, RATE).index.exists()


def test_a_disk_that_fills_up_keeps_what_was_decoded(clips, tmp_path, monkeypatch):
    monkeypatch.setattr(filling, "COMMIT_SECONDS", 0.0)
    written = filling._Filling._write

    def fail_late(self, decoding, samples):
        if decoding.place.name.endswith("020.wav"):
            raise OSError(errno.ENOSPC, "No space left on device")
        return written(self, decoding, samples)

    with monkeypatch.context() as full:
        full.setattr(filling._Filling, "_write", fail_late)
        with pytest.raises(OSError, match="the disk is full; the clips decoded so far are kept"):
            open_sounds(clips, RATE, tmp_path / "a", workers=0)
    assert len(Store(tmp_path / "a", RATE).records()) == 19
    open_sounds(clips, RATE, tmp_path / "a", workers=0)
    open_sounds(clips, RATE, tmp_path / "b", workers=0)
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_a_full_cache_needs_no_right_to_write(clips, tmp_path):
    open_sounds(clips, RATE, tmp_path, workers=0)
    folder = Store(tmp_path, RATE).folder
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    sounds = open_sounds(clips[::-1], RATE, tmp_path, workers=0)
    assert sounds.n_samples(39) == 400 * 8000 // 11025
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_nothing_at_all_can_be_decoded(tmp_path):
    (tmp_path / "a.wav").write_bytes(b"no sound")
    clips = [Clip(tmp_path / "a.wav", ()), Clip(tmp_path / "b.wav", ())]
    sounds = open_sounds(clips, RATE, tmp_path, workers=0)
    assert len(sounds) == len(sounds.failures) == 2
    with pytest.raises(AudioError):
        sounds.read(0)
    assert len(open_sounds([], RATE, tmp_path)) == 0


def test_each_failure_is_logged_once(tmp_path, caplog):
    clips = [Clip(tmp_path / "b.wav", ())] * 3
    with caplog.at_level(logging.WARNING):
        open_sounds(clips, RATE, tmp_path, workers=0)
    assert len(caplog.records) == 1
