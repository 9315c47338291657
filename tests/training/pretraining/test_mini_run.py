"""Some iterations of a very small encoder: what keeps features apart, and what lets them collapse."""

import pytest
from tiny_dbert import OBJECTIVE, SEEDING, Terms, crops, learner

from earmark.training.pretraining import LITERAL, ClusterGuessing, Collapse
from earmark.training.settings import TrainingError

BATCHES = [crops(number) for number in range(40)]
WATCH = Collapse(iterations=20)
ITERATIONS = 90


def perplexities(objective: ClusterGuessing, found: list[dict[str, float]]) -> list[dict[str, float]]:
    """Of each clustering at each iteration; there are 16 clusters, and 8 clips in a batch."""
    one = learner(Terms(objective), lr=3e-3)
    for number in range(SEEDING.batches + ITERATIONS):
        assert one.step(BATCHES[number % len(BATCHES)], 0, number, None).applied
        if number >= SEEDING.batches:
            found.append({at: one.measures[f"perplexity_{at}"] for at in ("conv", "summary", "output")})
    return found


def test_with_a_teacher_all_locations_stay_above_a_third_of_their_clusters() -> None:
    rows = perplexities(OBJECTIVE.replace(collapse=WATCH), [])
    for location, most in (("conv", 16), ("summary", 8), ("output", 16)):
        assert min(row[location] for row in rows) > most / 3, location


def test_the_literal_variant_collapses_to_one_summary_cluster_and_the_run_ends_with_a_sentence() -> None:
    rows: list[dict[str, float]] = []
    with pytest.raises(TrainingError, match="features have collapsed: for 20 iterations more than not"):
        perplexities(LITERAL.replace(seeding=SEEDING, collapse=WATCH), rows)
    assert min(row["summary"] for row in rows) == pytest.approx(1.0, abs=1e-4)
