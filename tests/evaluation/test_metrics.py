import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

from earmark.evaluation.metrics import average_precision, top1_within


@given(
    st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=40).filter(
        lambda r: any(t for _, t in r)
    )
)
def test_average_precision_agrees_with_scikit_learn_also_on_equal_scores(
    rows: list[tuple[int, bool]],
) -> None:
    scores = np.array([score for score, _ in rows], dtype=float)
    targets = np.array([target for _, target in rows])
    assert average_precision(scores, targets) == pytest.approx(
        average_precision_score(targets, scores), abs=1e-12
    )


def test_average_precision_ignores_the_order_of_clips() -> None:
    rng = np.random.default_rng(0)
    scores, targets = rng.integers(0, 5, 50).astype(float), rng.random(50) < 0.3
    order = rng.permutation(50)
    assert average_precision(scores, targets) == average_precision(scores[order], targets[order])


def test_a_class_without_clips_has_no_average_precision() -> None:
    assert np.isnan(average_precision(np.array([0.5]), np.array([False])))


def test_top1_looks_only_among_the_given_classes() -> None:
    scores = np.array([[0.9, 0.5, 0.4]])
    targets = np.array([[False, True, False]])
    assert not top1_within(scores, targets, [0, 1, 2])[0]
    assert top1_within(scores, targets, [1, 2])[0]
