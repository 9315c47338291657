"""Labels that annotators left out."""

import json
from pathlib import Path

import numpy as np
import pytest

from earmark.config import ConfigError
from earmark.training.supervised.label_enhancement import (
    ancestors,
    enhance,
    read_ontology,
    related,
    thresholds,
)

NAMES = ["Animal", "Dog", "Bark", "Music"]
TREE = {"Animal": ["Pets"], "Pets": ["Dog"], "Dog": ["Bark"]}


def one_hot(*rows: str) -> np.ndarray:
    return np.array([[name in row.split() for name in NAMES] for row in rows])


def test_type_1_adds_children_and_type_2_all_ancestors_that_the_model_hears() -> None:
    labels = one_hot("Animal Dog Bark", "Dog", "Music")
    scores = np.ones((3, 4))
    down = enhance(labels, scores * 2 - labels, NAMES, TREE, types=(1,))
    assert np.array_equal(down, one_hot("Animal Dog Bark", "Dog Bark", "Music"))
    up = enhance(labels, scores * 2 - labels, NAMES, TREE, types=(2,))
    assert np.array_equal(up, one_hot("Animal Dog Bark", "Animal Dog", "Music"))
    both = enhance(labels, scores * 2 - labels, NAMES, TREE)
    assert np.array_equal(both, down | up)


def test_a_label_that_the_model_does_not_hear_is_not_added() -> None:
    labels = one_hot("Animal Dog Bark", "Dog")
    assert np.array_equal(enhance(labels, np.full((2, 4), 0.5), NAMES, TREE), labels)  # not greater


def test_labels_are_never_taken_away() -> None:
    rng = np.random.default_rng(0)
    labels, scores = rng.random((50, 4)) < 0.3, rng.random((50, 4))
    for rule in ("mean", "median", "p25", "p10", "p5"):
        more = enhance(labels, scores, NAMES, TREE, rule=rule)
        assert bool((more >= labels).all())
        assert more[:, 3].sum() == labels[:, 3].sum()  # nothing is above or below Music


def test_thresholds_are_taken_from_the_scores_of_known_positives() -> None:
    labels = np.zeros((101, 2), dtype=bool)
    labels[:, 0] = True
    scores = np.stack([np.arange(101.0) ** 2, np.zeros(101)], axis=1)
    found = {
        rule: float(thresholds(labels, scores, rule)[0]) for rule in ("mean", "median", "p25", "p10", "p5")
    }
    assert found == {"mean": 3350.0, "median": 2500.0, "p25": 625.0, "p10": 100.0, "p5": 25.0}
    assert thresholds(labels, scores, "p5")[1] == np.inf


def test_a_class_between_two_labels_that_is_none_itself_is_looked_through() -> None:
    assert related(NAMES, TREE) == [{1}, {2}, set(), set()]
    assert ancestors(related(NAMES, TREE)) == [set(), {0}, {0, 1}, set()]


def test_an_ontology_in_a_circle_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="below itself"):
        related(["a"], {"a": ["x"], "x": ["y"], "y": ["x"]})


def test_the_published_file_is_read_by_name_or_id(tmp_path: Path) -> None:
    entries = [
        {"id": "/m/0jbk", "name": "Animal", "child_ids": ["/m/0bt9lr"], "restrictions": []},
        {"id": "/m/0bt9lr", "name": "Dog", "child_ids": []},
    ]
    path = tmp_path / "ontology.json"
    path.write_text(json.dumps(entries))
    assert read_ontology(path) == {"Animal": ["Dog"], "Dog": []}
    assert read_ontology(path, by="id") == {"/m/0jbk": ["/m/0bt9lr"], "/m/0bt9lr": []}


@pytest.mark.parametrize("text", ["", "{}x", "[1]", '[{"id": "a", "name": "A", "child_ids": ["b"]}]'])
def test_a_file_that_is_none_is_a_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "ontology.json").write_text(text)
    with pytest.raises(ConfigError, match="cannot be read as AudioSet's ontology"):
        read_ontology(tmp_path / "ontology.json")
