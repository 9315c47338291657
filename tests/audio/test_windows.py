"""Laws of windows: exact starts, nothing lost, nothing repeated for nothing."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.audio import pad, windows


def _blocks(total, cuts):
    return np.split(np.arange(total, dtype=np.float32), sorted(min(cut, total) for cut in cuts))


@given(
    total=st.integers(0, 200),
    cuts=st.lists(st.integers(0, 200), max_size=8),
    window=st.integers(1, 60),
    hop=st.integers(1, 80),
)
def test_windows_are_the_slices_of_the_whole_sound(total, cuts, window, hop):
    expected = []
    for start in range(0, total, hop):
        expected.append((start, list(range(start, min(start + window, total)))))
        if start + window >= total:
            break
    got = [(start, list(samples)) for start, samples in windows(_blocks(total, cuts), window, hop)]
    assert got == expected


@given(total=st.integers(1, 300), window=st.integers(1, 50), data=st.data())
def test_every_sample_lies_in_some_window_if_they_touch(total, window, data):
    hop = data.draw(st.integers(1, window))
    covered = set()
    for start, samples in windows(_blocks(total, [7, 100]), window, hop):
        covered.update(range(start, start + len(samples)))
    assert covered == set(range(total))


def test_windows_come_as_soon_as_their_samples_are_there():
    taken = []

    def blocks():
        for index in range(100):
            taken.append(index)
            yield np.zeros(10, np.float32)

    next(iter(windows(blocks(), 10, 10)))
    assert len(taken) <= 2


def test_a_window_can_be_written_to_without_harm():
    for _, samples in windows([np.ones(10, np.float32)], 4, 2):
        assert (samples == 1).all()
        samples[:] = 7


@pytest.mark.parametrize(("window", "hop"), [(0, 1), (1, 0), (-1, 5)])
def test_a_window_or_hop_of_nothing_is_refused(window, hop):
    with pytest.raises(ValueError, match="at least 1"):
        windows([], window, hop)


@given(length=st.integers(1, 30), wanted=st.integers(0, 100))
def test_padding_keeps_the_sound_and_reaches_the_length(length, wanted):
    sound = np.arange(1, length + 1, dtype=np.float32)
    zeros, loop = pad(sound, wanted, "zeros"), pad(sound, wanted, "loop")
    assert len(zeros) == len(loop) == max(length, wanted)
    assert (zeros[:length] == sound).all()
    assert not zeros[length:].any()
    assert all(loop[index] == sound[index % length] for index in range(len(loop)))


def test_nothing_cannot_be_looped():
    assert len(pad(np.zeros(0, np.float32), 5, "zeros")) == 5
    with pytest.raises(ValueError, match="pad it with zeros"):
        pad(np.zeros(0, np.float32), 5, "loop")


def test_the_cost_of_a_window_grows_with_its_length_not_with_its_square():
    def seconds(blocks):
        began = time.process_time()
        sound = (np.zeros(1000, np.float32) for _ in range(blocks))
        assert len(list(windows(sound, 1000 * blocks, 1000 * blocks))) == 1
        return time.process_time() - began

    assert min(seconds(8000) for _ in range(2)) < 2.0  # 128 GB would be copied block by block
