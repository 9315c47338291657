"""Metrics against scikit-learn and against what they must not depend on."""

import itertools
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn import metrics as sk

from earmark.config import ConfigError
from earmark.evaluation import evaluate_arrays, measure
from earmark.evaluation.answers import called_best, macro, micro, rates
from earmark.evaluation.curves import sweep
from earmark.evaluation.metrics import (
    DEFINITIONS,
    average_precision,
    best_micro_f1,
    curves,
    d_prime,
    mean_over,
    top1_within,
)
from earmark.evaluation.ranking import accuracy, label_ranking_precision
from evaluation.drawn import cells, one_label

SEEDS = range(5)
near = pytest.approx


def of_classes(metric, scores: np.ndarray, targets: np.ndarray, known: np.ndarray) -> list[float]:
    """A metric of scikit-learn's for each class, with the mask as weights, as OpenMIC's users do it."""
    return [
        metric(targets[:, c], scores[:, c], sample_weight=known[:, c].astype(float))
        for c in range(targets.shape[1])
    ]


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
    assert average_precision(scores, targets) == near(sk.average_precision_score(targets, scores), abs=1e-12)


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


@pytest.mark.parametrize("seed", SEEDS)
def test_masked_metrics_agree_with_scikit_learn_with_the_mask_as_weights(seed: int) -> None:
    scores, targets, known = cells(seed)
    found = measure(scores, targets, known, exclusive=False)
    aps = of_classes(sk.average_precision_score, scores, targets, known)
    aucs = of_classes(sk.roc_auc_score, scores, targets, known)
    assert found["map"] == near(np.mean(aps), abs=1e-12)
    assert found["auc"] == near(np.mean(aucs), abs=1e-12)
    assert found["d_prime"] == near(2**0.5 * norm.ppf(np.mean(aucs)), abs=1e-10)
    assert found["d_prime_mean"] == near(np.mean(2**0.5 * norm.ppf(aucs)), abs=1e-10)


@pytest.mark.parametrize("seed", SEEDS)
def test_lwlrap_agrees_with_scikit_learn_also_on_equal_scores(seed: int) -> None:
    scores, targets, _ = cells(seed)
    scores = scores.round(1)
    expected = sk.label_ranking_average_precision_score(targets, scores, sample_weight=targets.sum(axis=1))
    assert label_ranking_precision(scores, targets) == near(expected, abs=1e-12)


def test_lwlrap_leaves_out_what_is_unknown() -> None:
    scores = np.array([[0.9, 0.8, 0.1]])
    targets = np.array([[False, True, False]])
    assert measure(scores, targets, np.array([[False, True, True]]), exclusive=False)["lwlrap"] == 1.0
    assert measure(scores, targets, None, exclusive=False)["lwlrap"] == 0.5


@pytest.mark.parametrize("seed", SEEDS)
def test_answers_where_one_label_holds_agree_with_scikit_learns_report(seed: int) -> None:
    scores, targets = one_label(seed, clips=30, classes=8)
    true, called = targets.argmax(axis=1), scores.argmax(axis=1)
    expected = sk.classification_report(true, called, output_dict=True, zero_division=0)
    found = measure(scores, targets, None, exclusive=True)
    assert found["accuracy"] == near(sk.accuracy_score(true, called), abs=1e-12)
    assert found["precision_macro"] == near(expected["macro avg"]["precision"], abs=1e-12)
    assert found["recall_macro"] == near(expected["macro avg"]["recall"], abs=1e-12)
    assert found["f1_macro"] == near(expected["macro avg"]["f1-score"], abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_answers_where_several_labels_hold_agree_with_scikit_learns_report(seed: int) -> None:
    scores, targets, _ = cells(seed)
    answers = scores >= 0.5
    expected = sk.precision_recall_fscore_support(targets, answers, average="macro", zero_division=0)
    assert list(macro(rates(answers, targets)).values()) == near(list(expected[:3]), abs=1e-12)
    assert micro(answers, targets) == near(sk.f1_score(targets, answers, average="micro"), abs=1e-12)


@pytest.mark.parametrize("best", [1, 2, 3])
def test_top_k_accuracy_agrees_with_scikit_learn(best: int) -> None:
    scores, targets = one_label(3)
    expected = sk.top_k_accuracy_score(targets.argmax(axis=1), scores, k=best)
    assert accuracy(scores, targets, best) == near(expected, abs=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_best_f1_of_a_class_is_found_and_its_threshold_gives_it(seed: int) -> None:
    scores, targets, _ = cells(seed)
    for index in range(targets.shape[1]):
        threshold, best = sweep(scores[:, index], targets[:, index]).best_f1()
        precision, recall, _ = sk.precision_recall_curve(targets[:, index], scores[:, index])
        every = 2 * precision * recall / np.maximum(precision + recall, 1e-30)
        assert best == near(every.max(), abs=1e-12)
        assert sk.f1_score(targets[:, index], scores[:, index] >= threshold) == near(best, abs=1e-12)


def test_the_middle_of_the_curve_is_that_of_scikit_learns_points() -> None:
    scores, targets, _ = cells(1, clips=500)
    curve = sweep(scores[:, 0], targets[:, 0])
    precision, recall, _ = sk.precision_recall_curve(targets[:, 0], scores[:, 0])
    for every in (1, 7, 1000):
        thin = precision[::every], recall[::every]
        assert curve.middle(every) == near(tuple(part[len(part) // 2] for part in thin), abs=1e-12)


def test_micro_f1_is_as_large_as_any_thresholds_make_it() -> None:
    scores, targets, known = cells(2, clips=7, classes=2)
    scores, known = scores.round(1), known | True
    swept = curves(scores, targets, known)
    thresholds, best = best_micro_f1(swept)
    places = np.arange(-0.05, 1.2, 0.1)
    every = [micro(scores >= np.array(pair), targets) for pair in itertools.product(places, repeat=2)]
    assert best == near(np.nanmax(every), abs=1e-12)
    assert micro(scores >= np.array(thresholds), targets) == near(best, abs=1e-12)


def test_recall_is_as_large_as_a_precision_allows() -> None:
    scores = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    targets = np.array([True, True, False, True, False])
    curve = sweep(scores, targets)
    assert curve.best_precision(0.75) == (0.55, 1.0)
    assert curve.best_precision(0.9) == (0.75, 2 / 3)
    assert sweep(scores, ~targets).best_precision(0.9) == (float("inf"), 0.0)


def test_classes_without_clips_are_left_out_unless_one_is_strict() -> None:
    scores, targets, known = cells(0)
    targets[:, 2] = False
    found = measure(scores, targets, known, exclusive=False)
    kept = [0, 1, 3, 4]
    alone = measure(scores[:, kept], targets[:, kept], known[:, kept], exclusive=False)
    assert found["map"] == alone["map"]
    assert found["auc"] == alone["auc"]
    assert np.isnan(found["map_strict"])
    assert np.isnan(found["auc_strict"])
    assert alone["map_strict"] == alone["map"]


def test_without_any_positive_clip_nothing_is_defined_and_nothing_warns() -> None:
    found = measure(np.full((3, 2), 0.2), np.zeros((3, 2), dtype=bool), None, exclusive=False)
    assert np.isnan([found[name] for name in ("map", "auc", "d_prime", "lwlrap", "f1_macro")]).all()
    assert found["accuracy"] == 0.0
    assert np.isnan(mean_over([]))


@given(st.floats(0.01, 0.99))
def test_d_prime_is_the_quantile_of_scipy(auc: float) -> None:
    assert d_prime(auc) == near(2**0.5 * norm.ppf(auc), abs=1e-12)


def test_d_prime_at_its_ends_is_infinite() -> None:
    assert (d_prime(1.0), d_prime(0.0)) == (float("inf"), float("-inf"))
    assert np.isnan(d_prime(float("nan")))


def test_what_a_trainer_looks_at_is_what_the_report_says() -> None:
    scores, targets, known = cells(4)
    logits = np.log(scores.clip(0.01, 0.99) / (1 - scores.clip(0.01, 0.99)))
    few = evaluate_arrays(logits, targets, known, exclusive=False)
    every = measure(scores.clip(0.01, 0.99), targets, known, exclusive=False)
    assert few == {name: near(every[name]) for name in ("map", "auc", "d_prime", "lwlrap")}
    scores, targets = one_label(4)
    few = evaluate_arrays(np.log(scores) + 3, targets, None, exclusive=True)
    every = measure(scores, targets, None, exclusive=True)
    assert few == {name: near(every[name]) for name in ("accuracy", "map", "f1_macro")}


def test_scores_that_are_no_numbers_are_one_sentence() -> None:
    scores, targets, _ = cells(0)
    scores[7, 1] = scores[7, 2] = np.nan
    with pytest.raises(ConfigError, match=r"2 of 300 scores, in 1 of 60 clips, are NaN"):
        measure(scores, targets, None, exclusive=False)
    with pytest.raises(ConfigError, match="NaN"):
        evaluate_arrays(scores, targets, None, exclusive=True)


def test_every_metric_says_what_it_is() -> None:
    scores, targets = one_label(0)
    assert measure(scores, targets, None, exclusive=True).keys() == DEFINITIONS.keys()
    assert called_best(scores).sum(axis=1).tolist() == [1] * len(scores)


def test_twenty_thousand_clips_of_527_classes_take_seconds() -> None:
    rng = np.random.default_rng(0)
    scores = rng.normal(size=(20_000, 527)).astype(np.float32)
    targets = rng.random(scores.shape, dtype=np.float32) < 0.005
    began = time.process_time()
    evaluate_arrays(scores, targets, None, exclusive=False)
    assert time.process_time() - began < 30  # 1.2 s on an idle core
