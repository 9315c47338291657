"""Numbers to look at, and the detector of collapse."""

import math

import pytest
import torch

from earmark.training.pretraining.health import Collapse, CollapseDetector, Spread, perplexity, spreads


@pytest.mark.parametrize("k", [1, 2, 7])
def test_perplexity_is_the_number_of_clusters_that_are_used_evenly(k: int) -> None:
    counts = torch.zeros(9)
    counts[:k] = 5.0
    assert float(perplexity(counts)) == pytest.approx(k, rel=1e-5)


def test_perplexity_depends_on_shares_alone_and_falls_as_they_grow_uneven() -> None:
    uneven = [torch.tensor([10.0 + 10 * s, 10.0, 10.0 - 10 * s]) for s in (0.0, 0.3, 0.6, 1.0)]
    found = [float(perplexity(counts)) for counts in uneven]
    assert found == sorted(found, reverse=True)
    torch.testing.assert_close(perplexity(uneven[1]), perplexity(uneven[1] * 13))
    assert float(perplexity(torch.zeros(4))) == 1


def test_a_small_batch_bounds_what_a_perplexity_can_be() -> None:
    counts = {"summary": torch.eye(100)[:8].sum(dim=0), "conv": torch.full((20,), 30.0)}
    found = spreads(counts)
    assert found["summary"].most == 8
    assert found["summary"].perplexity == pytest.approx(8, rel=1e-5)
    assert found["conv"].most == 20


def detector(iterations: int = 3) -> CollapseDetector:
    return CollapseDetector(Collapse(iterations=iterations), ["summary"], ["output"])


GOOD, BAD = {"summary": Spread(5.0, 8.0)}, {"summary": Spread(1.0, 8.0)}


def test_many_bad_iterations_are_a_collapse_and_good_ones_are_set_against_them() -> None:
    one = detector()
    verdicts = [one.look(found, {"output": 1.0}) for found in (BAD, GOOD, GOOD, BAD, BAD, GOOD, BAD)]
    assert verdicts == [None] * 7
    sentence = one.look(BAD, {"output": 1.0})
    assert sentence is not None
    assert "perplexity of summary" in sentence
    assert "3 iterations" in sentence
    assert "teacher" in sentence


def test_deviation_is_measured_against_the_beginning() -> None:
    one = detector()
    values = [0.04, 0.01, 0.0019, 0.0019, 0.0019]  # an untrained encoder's may be small, and that is fine
    verdicts = [one.look(GOOD, {"output": value}) for value in values]
    assert verdicts[:4] == [None] * 4
    assert verdicts[4] is not None
    assert "deviation of output" in verdicts[4]


def test_a_deviation_that_is_not_a_number_is_no_health() -> None:
    one = detector()
    one.look(GOOD, {"output": 1.0})
    assert not math.isnan(one.begun["output"])


def test_a_detector_goes_on_where_another_stood() -> None:
    one, other = detector(), detector()
    for found in (GOOD, BAD, BAD):
        one.look(found, {"output": 0.5})
    other.restore(one.state())
    assert (other.bad, other.begun) == (one.bad, one.begun)
    assert other.look(BAD, {"output": 0.5}) is not None


def test_a_batch_of_one_clip_is_no_collapse() -> None:
    one = detector(iterations=1)
    assert one.look({"summary": Spread(1.0, 1.0)}, {"output": 1.0}) is None
