"""Intervals, calibration, thresholds, and the folder that holds them."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from earmark.config import ConfigError
from earmark.evaluation import Predictions, report_of
from earmark.evaluation.assessment import Aims, assess
from earmark.evaluation.bootstrap import intervals
from earmark.evaluation.calibration import fit_temperature, reliability, statements
from earmark.evaluation.choosing import at_thresholds, choose_thresholds
from earmark.evaluation.folder import write_folder
from earmark.inference.thresholds import Thresholds, calibrated, read_thresholds
from evaluation.drawn import cells, one_label, predictions


def calibrated_truth(exclusive: bool, temperature: float, clips: int = 4000) -> Predictions:
    """Clips whose truth was drawn by probabilities, and a model that says them too surely."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(clips, 4)) * 1.5
    if exclusive:
        chances = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        targets = np.eye(4, dtype=bool)[[rng.choice(4, p=row) for row in chances]]
        said = np.exp(temperature * logits) / np.exp(temperature * logits).sum(axis=1, keepdims=True)
    else:
        targets = rng.random(logits.shape) < 1 / (1 + np.exp(-logits))
        said = 1 / (1 + np.exp(-temperature * logits))
    return predictions(said, targets, exclusive=exclusive)


def test_intervals_hold_the_metric_and_are_the_same_for_the_same_seed() -> None:
    made = predictions(*cells(0, clips=200))
    found, metrics = intervals(made, 300), report_of(made).metrics
    assert found.keys() == {"map", "auc", "d_prime", "lwlrap", "accuracy", "f1_macro"}
    assert all(low < metrics[name] < high for name, (low, high) in found.items())
    assert found == intervals(made, 300)
    assert found != intervals(made, 300, seed=1)
    assert intervals(made, 0) == {}


def test_a_drawn_metric_is_that_of_the_drawn_clips() -> None:
    """One resample, drawn by hand, against the same clips repeated."""
    made = predictions(*cells(3, clips=80))
    drawn = np.random.default_rng(0).multinomial(80, np.full(80, 1 / 80), size=1)[0]
    order = [
        made.names.index(name) for name in sorted(made.names)
    ]  # groups are drawn in the order of their names
    rows = [row for row, count in zip(order, drawn, strict=True) for _ in range(count)]
    metrics = report_of(made.take(rows)).metrics
    for name, (low, high) in intervals(made, 1).items():
        assert low == high == pytest.approx(metrics[name], abs=1e-5), name


def test_more_clips_of_the_same_files_make_nothing_surer() -> None:
    made = predictions(*cells(0, clips=100))
    twice = made.take([*range(100), *range(100)])  # groups are repeated, too
    for name, (low, high) in intervals(made, 400).items():
        again = intervals(twice, 400)[name]
        assert again.high - again.low == pytest.approx(high - low, rel=0.05), name
    alone = twice._replace(groups=tuple(map(str, range(200))))
    assert np.diff(intervals(alone, 400)["map"])[0] < 0.85 * np.diff(intervals(made, 400)["map"])[0]


def test_an_interval_of_what_is_not_defined_is_not_defined() -> None:
    made = predictions(np.full((5, 2), 0.2), np.zeros((5, 2), dtype=bool))
    assert np.isnan(intervals(made, 20)["map"]).all()


@pytest.mark.parametrize("exclusive", [False, True])
@pytest.mark.parametrize("temperature", [0.5, 2.0])
def test_a_fitted_temperature_mends_what_was_said_too_surely(exclusive: bool, temperature: float) -> None:
    made = calibrated_truth(exclusive, temperature)
    fitted = fit_temperature(made)
    assert fitted == pytest.approx(temperature, rel=0.08)
    before, after = reliability(*statements(made)), reliability(*statements(made, fitted))
    assert after.error < 0.03 < before.error


@given(st.floats(0.1, 10.0), st.booleans())
def test_calibration_is_what_divided_logits_would_have_said(temperature: float, exclusive: bool) -> None:
    logits = np.array([[2.0, -1.0, 0.5], [-3.0, 0.0, 4.0]])

    def said(values: np.ndarray) -> np.ndarray:
        if exclusive:
            return np.exp(values) / np.exp(values).sum(axis=1, keepdims=True)
        return 1 / (1 + np.exp(-values))

    np.testing.assert_allclose(
        calibrated(said(logits), temperature, exclusive), said(logits / temperature), atol=1e-12
    )


def test_expected_calibration_error_of_a_perfect_coin_is_nothing() -> None:
    assert reliability(np.full(10, 0.5), np.arange(10) < 5).error == 0.0
    assert reliability(np.zeros(0), np.zeros(0, dtype=bool)).error == 0.0


def test_thresholds_give_the_best_f1_of_each_class() -> None:
    made = predictions(*cells(1, clips=300))
    chosen = choose_thresholds(made)
    best = at_thresholds(made, chosen)["f1_macro"]
    for index in range(5):
        for shift in (-0.1, 0.1):
            values = list(chosen.values)
            values[index] = min(1.0, max(0.0, (values[index] or 0.0) + shift))
            assert at_thresholds(made, chosen.replace(values=tuple(values)))["f1_macro"] <= best


def test_thresholds_for_a_precision_reach_it() -> None:
    made = predictions(*cells(1, clips=300))
    assert at_thresholds(made, choose_thresholds(made, precision=0.9))["precision_macro"] >= 0.9


def test_a_class_without_clips_gets_the_threshold_of_all() -> None:
    scores, targets, known = cells(1)
    targets[:, 2] = False
    chosen = choose_thresholds(predictions(scores, targets, known))
    assert chosen.values[2] == chosen.default


def test_thresholds_of_other_labels_are_one_sentence() -> None:
    chosen = Thresholds(labels=("Dog", "Rain"), values=(0.5, 0.5))
    with pytest.raises(ConfigError, match="of which the model lacks 1, first 'Rain'"):
        chosen.of(("Dog", "Wind"))
    with pytest.raises(ConfigError, match="2 thresholds for 1 labels"):
        Thresholds(labels=("Dog",), values=(0.5, 0.5))
    with pytest.raises(ConfigError, match=r"threshold of 'Dog' is 1\.5"):
        Thresholds(labels=("Dog",), values=(1.5,))


def test_the_report_says_by_which_clips_thresholds_were_chosen() -> None:
    tested, chosen_by = predictions(*cells(0)), predictions(*cells(1))
    alone, apart = assess(tested, aims=Aims(resamples=0)), assess(tested, chosen_by, Aims(resamples=0))
    assert any("the reported clips themselves" in note for note in alone.notes)
    assert (alone.calibrated, alone.thresholds.temperature) == (None, 1.0)
    assert any("chosen on 60 clips: validation clips" in note for note in apart.notes)
    assert apart.thresholds.values == choose_thresholds(chosen_by, apart.thresholds.temperature).values
    assert apart.thresholds.temperature != 1.0
    assert apart.report == alone.report


def test_the_folder_holds_everything_and_its_thresholds_come_back(tmp_path: Path) -> None:
    scores, targets = one_label(0)
    targets[:, 4], targets[:, 3] = False, targets[:, 3] | targets[:, 4]
    made = predictions(scores, targets, exclusive=True)
    made.heard[7] = False
    made = made._replace(failures=("7.wav: gone",))
    found = assess(made, aims=Aims(resamples=50))
    assert write_folder(found, tmp_path / "deep" / "report") == []
    folder = tmp_path / "deep" / "report"
    names = {"report.json", "report.md", "per_class.csv", "thresholds.json", "predictions.npz"}
    names |= {"confusion.png", "precision_recall.png", "calibration.png"}
    assert {path.name for path in folder.iterdir()} == names
    tree = json.loads((folder / "report.json").read_text(), parse_constant=lambda word: pytest.fail(word))
    assert tree["clips"] == 60
    assert tree["failed"] == ["7.wav: gone"]
    assert tree["without_clips"] == ["class 4"]
    assert tree["classes"][4]["ap"] is None
    assert np.array(tree["confusion"]).sum() == 59
    assert tree["metrics"]["accuracy"] == pytest.approx(found.report.top1_within)
    page = (folder / "report.md").read_text()
    assert "7.wav: gone" in page
    assert "1 of 5 classes have no clip here" in page
    rows = list(csv.DictReader((folder / "per_class.csv").read_text().splitlines()))
    assert [row["label"] for row in rows] == list(made.classes.names)
    assert rows[4]["ap"] == ""
    assert read_thresholds(folder) == found.thresholds


def test_an_interrupted_report_does_not_pass_for_a_finished_one(tmp_path: Path) -> None:
    found = assess(predictions(*cells(0)), aims=Aims(resamples=0))
    write_folder(found, tmp_path)
    (tmp_path / "report.md").unlink()
    (tmp_path / "report.md").mkdir()  # cannot be replaced by a file
    with pytest.raises(OSError, match="is a folder"):
        write_folder(found, tmp_path)
    assert not (tmp_path / "report.json").exists()


def test_impossible_aims_are_one_sentence() -> None:
    with pytest.raises(ConfigError, match="resamples: "):
        Aims(resamples=-1)
    with pytest.raises(ConfigError, match="precision: "):
        Aims(precision=1.5)
