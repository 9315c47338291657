"""Which frames are hidden."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.training.pretraining.masking import SpanMask, span_masks

FULL = np.ones((4, 50), dtype=bool)


@settings(max_examples=60, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    probability=st.floats(0.001, 1.0),
    longest=st.integers(1, 60),
    seed=st.integers(0, 1000),
)
def test_each_clip_has_a_hidden_frame_and_padding_is_never_hidden(
    lengths: list[int], probability: float, longest: int, seed: int
) -> None:
    valid = np.arange(40) < np.array(lengths)[:, None]
    config = SpanMask(probability=probability, longest=longest)
    masks = span_masks(config, valid, seed, (0, 3), list(range(len(lengths))))
    assert masks.any(axis=1).all()
    assert not (masks & ~valid).any()


@pytest.mark.parametrize("longest", [1, 4, 10])
def test_coverage_is_that_of_spans_that_begin_at_random(longest: int) -> None:
    config, valid = SpanMask(longest=longest), np.ones((4, 500), dtype=bool)
    shares = [span_masks(config, valid, 0, (0, n), range(4 * n, 4 * n + 4)).mean() for n in range(400)]
    expected = np.mean([1 - 0.92**length for length in range(1, longest + 1)])
    assert abs(np.mean(shares) - expected) < 0.02


def test_all_spans_of_a_batch_have_one_length() -> None:
    config = SpanMask(probability=0.002, longest=10)
    for number in range(30):
        masks = span_masks(config, np.ones((8, 400), dtype=bool), 0, (0, number), list(range(8)))
        edges = np.diff(np.pad(masks, ((0, 0), (1, 1))).astype(int), axis=1)
        spans = [
            end - begin
            for row in edges
            for begin, end in zip(*(np.flatnonzero(row == e) for e in (1, -1)), strict=True)
            if end < 400
        ]
        shortest = min(spans)
        assert all(span >= shortest for span in spans)
        assert spans.count(shortest) > len(spans) / 2  # longer ones are two that overlap


def test_a_mask_belongs_to_its_place_and_not_to_the_process() -> None:
    whole = span_masks(SpanMask(), FULL, 0, (2, 9), [8, 9, 10, 11])
    share = span_masks(SpanMask(), FULL[:2], 0, (2, 9), [10, 11])
    assert (whole[2:] == share).all()


def test_masks_change_from_step_to_step_and_with_the_seed() -> None:
    one, other, later = (
        span_masks(SpanMask(), FULL, seed, (epoch, 9), [0, 1, 2, 3])
        for seed, epoch in ((0, 0), (1, 0), (0, 1))
    )
    assert (one != other).any()
    assert (one != later).any()
