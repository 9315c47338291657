"""Which clips an epoch has; that weights agree with recorded ones is tested among the recordings."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from earmark.config import ConfigError
from earmark.training.distributing.shares import rank_share
from earmark.training.supervised.sampling import (
    Balanced,
    Drawn,
    SamplingConfig,
    Shuffled,
    clip_weights,
    draw_again,
    draw_once,
    epoch_order,
)
from earmark.training.supervised.shuffle_buffer import Buffered, buffered_order

LABELS = [[0]] * 30 + [[1]] * 6 + [[0, 1]] * 3 + [[]]
CLIPS = Drawn(LABELS, 2, np.repeat(np.arange(8), 5))
ONCE = Balanced(offset=100, replacement=False)


@given(st.integers(0, 65), st.integers(1, 9))
@settings(max_examples=100, deadline=None)
def test_the_shares_of_all_processes_are_the_batch_cut_at_even_places(size: int, world: int) -> None:
    batch = np.arange(size)
    shares = [rank_share(batch, rank, world) for rank in range(world)]
    assert np.concatenate(shares).tolist() == batch.tolist()
    assert all(share[0] % 2 == 0 for share in shares if len(share))
    sizes = [len(share) for share in shares]
    assert max(sizes) - min(sizes) <= 3 if size else True


@pytest.mark.parametrize("sampling", [Shuffled(), Balanced(), ONCE, Buffered(buffer=7)])
def test_an_epoch_is_a_function_of_seed_and_epoch(sampling: SamplingConfig) -> None:
    orders = {
        (seed, epoch): tuple(epoch_order(sampling, CLIPS, 20, seed, epoch).tolist())
        for seed in (0, 1)
        for epoch in (0, 1)
    }
    assert len(set(orders.values())) == 4
    assert orders[0, 1] == tuple(epoch_order(sampling, CLIPS, 20, 0, 1).tolist())


def test_shuffling_takes_each_clip_once() -> None:
    assert sorted(epoch_order(Shuffled(), CLIPS, 40, 3, 4)) == list(range(40))
    assert len(set(epoch_order(Shuffled(), CLIPS, 25, 3, 4).tolist())) == 25


@pytest.mark.parametrize("combine", ["sum", "max"])
@pytest.mark.parametrize("offset", [0, 0.01, 100])
def test_weights_follow_the_formula(offset: float, combine: str) -> None:
    rng = np.random.default_rng(0)
    dense = rng.random((200, 7)) < 0.2
    labels = [np.flatnonzero(row).tolist() for row in dense]
    classes = 1000 / (offset + dense.sum(axis=0))
    each = dense * classes
    expected = each.sum(axis=1) if combine == "sum" else each.max(axis=1)
    got = clip_weights(Balanced(offset=offset, combine=combine), labels, 7)
    np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_poorly_recognized_classes_weigh_more_by_their_precision() -> None:
    plain, boosted = (clip_weights(Balanced(class_ap=ap), LABELS, 2) for ap in ({}, {1: 0.05}))
    np.testing.assert_allclose(boosted - plain, [8.0 if 1 in one else 0.0 for one in LABELS])
    with pytest.raises(ConfigError, match="names class 2 but there are 2"):
        clip_weights(Balanced(class_ap={2: 0.1}), LABELS, 2)


def test_a_label_that_is_given_twice_counts_once() -> None:
    np.testing.assert_allclose(
        clip_weights(Balanced(), [[0, 0], [1]], 2), clip_weights(Balanced(), [[0], [1]], 2)
    )


def test_clips_are_drawn_as_often_as_their_weight_says() -> None:
    weights = np.array([1.0, 0.0, 3.0, 6.0])
    drawn = draw_again(weights, 20000, np.random.default_rng(0))
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 20000, weights / 10, atol=0.015)


def test_draws_without_replacement_are_distributed_like_draws_one_after_another() -> None:
    weights, rng = np.array([1.0, 2.0, 0.0, 5.0]), np.random.default_rng(0)
    pairs = [tuple(draw_once(weights, 2, rng).tolist()) for _ in range(8000)]
    for first in (0, 1, 3):
        for second in {0, 1, 3} - {first}:
            expected = weights[first] / 8 * weights[second] / (8 - weights[first])
            assert pairs.count((first, second)) / 8000 == pytest.approx(expected, abs=0.02)


@given(st.integers(1, 60), st.data())
@settings(max_examples=60, deadline=None)
def test_no_clip_is_drawn_twice_without_replacement(size: int, data: st.DataObject) -> None:
    count = data.draw(st.integers(0, size))
    drawn = draw_once(np.linspace(1, 5, size), count, np.random.default_rng(size))
    assert len(set(drawn.tolist())) == len(drawn) == count


def test_epochs_that_cannot_be_drawn_are_a_sentence() -> None:
    with pytest.raises(ConfigError, match="41 clips is asked for but there are 40"):
        epoch_order(Shuffled(), CLIPS, 41, 0, 0)
    with pytest.raises(ConfigError, match="40 clips is asked for but 39 of 40 clips have a label"):
        epoch_order(ONCE, CLIPS, 40, 0, 0)
    with pytest.raises(ConfigError, match="no clip has a label"):
        epoch_order(Balanced(), Drawn([[], []], 2, np.arange(2)), 2, 0, 0)


def test_two_million_clips_take_no_time_and_no_dense_matrix() -> None:
    rng = np.random.default_rng(0)
    weights = rng.random(2_000_000)
    for draw in (draw_once, draw_again):
        started = time.process_time()
        draw(weights, 100_000, rng)
        assert time.process_time() - started < 2.0


def test_descriptions_survive_json() -> None:
    adapter = TypeAdapter(SamplingConfig)
    for sampling in (Shuffled(), Balanced(class_ap={3: 0.1, 76: 0.02})):
        assert adapter.validate_json(sampling.to_json()) == sampling
        assert adapter.validate_python(sampling.to_dict()) == sampling


def test_a_shuffle_buffer_gives_each_clip_once_and_holds_no_more_than_it_says() -> None:
    files = np.repeat(np.arange(20), 50)
    order = buffered_order(100, files, np.random.default_rng(0))
    assert sorted(order.tolist()) == list(range(1000))
    for taken in range(1, 1001):  # so far, as many shards were opened as fill the buffer and what was taken
        assert len(set(files[order[:taken]].tolist())) <= -(-(taken + 100) // 50)
    assert not (np.diff(order) == 1).mean() > 0.1


def test_a_buffer_as_large_as_the_corpus_is_a_plain_shuffle() -> None:
    whole = [buffered_order(40, CLIPS.files, np.random.default_rng(seed)) for seed in range(400)]
    first = np.bincount([order[0] for order in whole], minlength=40)
    assert first.max() < 30  # 10 on average


def test_an_empty_corpus_is_an_empty_order() -> None:
    assert buffered_order(5, np.zeros(0, np.int64), np.random.default_rng(0)).shape == (0,)
