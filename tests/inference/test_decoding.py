import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import numpy as np
import psutil
import pytest

from earmark.audio import AudioError, load
from earmark.audio.pool import Pool
from earmark.audio.process import DecoderError
from earmark.inference.decoding import decode
from earmark.inference.settings import Run
from earmark.inference.sources import item_of

from .sounds import RATE, noise


def decoders() -> list[psutil.Process]:
    return [p for p in psutil.Process().children() if "earmark.audio.worker" in " ".join(p.cmdline())]


def wait_for_decoders(count: int, but: tuple[int, ...] = ()) -> list[psutil.Process]:
    limit = time.monotonic() + 60
    while len(found := [p for p in decoders() if p.pid not in but]) < count:
        assert time.monotonic() < limit, "no decoder came up"
        time.sleep(0.02)
    return found


@pytest.fixture
def pool() -> Iterator[Pool]:
    with Pool(1) as pool:
        yield pool
    assert not decoders()


def hear(paths, pool) -> list[np.ndarray | AudioError]:
    heard = []
    for _, blocks in decode(map(item_of, paths), RATE, Run(), pool):
        try:
            heard.append(np.concatenate(list(blocks)))
        except AudioError as error:
            heard.append(error)
    return heard


def test_a_decoder_process_never_imports_torch():
    code = "import sys, earmark.audio.worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_pool_gives_what_decoding_here_gives(sounds, pool):
    paths = sounds(0.5, 0.1, 12.0, 0.0001, 0.7)
    for heard, path in zip(hear(paths, pool), paths, strict=True):
        np.testing.assert_array_equal(heard, load(path, RATE))


def test_errors_come_back_under_the_name_that_was_given(tmp_path, pool):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"not audio")
    [error] = hear([bad], pool)
    assert isinstance(error, AudioError)
    assert error.path == str(bad)
    assert str(bad) not in error.reason


def test_names_that_are_no_utf8_or_hold_a_newline_are_heard(sounds, pool, tmp_path):
    [path] = sounds(0.2)
    odd = [os.fsencode(tmp_path) + b"/caf\xe9.wav", os.fsencode(tmp_path) + b"/two\nlines.wav"]
    for name in odd:
        os.link(path, name)
    assert [len(heard) for heard in hear([os.fsdecode(name) for name in odd], pool)] == [3200, 3200]


def test_a_decoder_that_hangs_is_given_up_and_the_rest_are_done(sounds):
    first, second = sounds(0.3, 0.3)
    with Pool(1, timeout=0.5) as pool:
        assert len(hear([first], pool)[0]) == 4800
        [process] = wait_for_decoders(1)
        process.suspend()
        error, heard = hear([first, second], pool)
    assert "made no progress for 0.5 s" in error.reason
    assert error.path == str(first)
    assert len(heard) == 4800


def test_a_decoder_that_is_killed_costs_one_file_at_most(sounds):
    paths = sounds(*[0.3] * 6)
    with Pool(1) as pool:
        assert len(hear(paths[:1], pool)[0]) == 4800
        [process] = wait_for_decoders(1)
        process.suspend()
        threading.Timer(0.3, process.send_signal, [signal.SIGKILL]).start()
        first, *others = hear(paths, pool)
    assert "SIGKILL" in first.reason
    assert [len(heard) for heard in others] == [4800] * 5


def test_a_decoder_that_died_while_idle_costs_nothing(sounds, pool):
    [path] = sounds(0.3)
    hear([path], pool)
    [process] = wait_for_decoders(1)
    process.kill()
    process.wait() if process.is_running() else None
    time.sleep(0.1)
    assert len(hear([path], pool)[0]) == 4800


def test_a_slow_reader_holds_the_decoders_back(sounds):
    paths = sounds(*[20.0] * 12)
    with Pool(2) as pool:
        stream = decode(map(item_of, paths), 192000, Run(), pool)
        _, blocks = next(stream)
        next(blocks)
        time.sleep(1.5)
        assert pool._buffered <= 80 * 1024**2 + 4 * 1024**2
        assert pool._buffered > 20 * 1024**2


def test_decoders_end_with_their_parent(sounds, tmp_path):
    code = """
import sys, time
from earmark.audio.pool import Pool
pool = Pool(1); pool.start(); time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", code])
    try:
        limit = time.monotonic() + 30
        while not (children := psutil.Process(parent.pid).children()):
            assert time.monotonic() < limit
            time.sleep(0.05)
    finally:
        parent.kill()
        parent.wait()
    gone, alive = psutil.wait_procs(children, timeout=20)
    assert gone
    assert not alive


def test_a_decoder_that_cannot_start_says_why(sounds, monkeypatch):
    [path] = sounds(0.1)
    monkeypatch.setattr(sys, "path", [])
    with Pool(1) as pool, pytest.raises(DecoderError, match=r"ModuleNotFoundError.*workers=0 needs none"):
        list(pool.read(pool.submit(path, RATE, "error")))


def test_arrays_need_no_process(pool):
    [(_, blocks)] = [
        (item, list(blocks)) for item, blocks in decode([item_of((noise(0.5), RATE))], RATE, Run(), pool)
    ]
    assert sum(map(len, blocks)) == 8000
    assert not decoders()
