"""Predictions: through the path of `earmark tag`, on disk, averaged and joined."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from earmark.config import ConfigError
from earmark.data import Clip
from earmark.evaluation import Predictions, predict, report_of
from earmark.evaluation.folds import best_common_epoch, cumulative
from earmark.evaluation.predictions import clip_names
from earmark.evaluation.stored import read_predictions, write_predictions
from earmark.evaluation.together import averaged, joined
from earmark.inference.settings import Run
from earmark.inference.tagging import tag
from earmark.labels import LabelSet
from earmark.models.ensemble import Ensemble
from evaluation.drawn import cells, one_label, predictions
from inference.sounds import RATE, make_model, noise

HERE = Run(workers=0)
CLASSES = LabelSet(names=("Rain", "Dog"))


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """Two and a half windows of the small model."""
    soundfile.write(tmp_path / "long.wav", noise(2.5), RATE, subtype="FLOAT")
    return tmp_path / "long.wav"


def test_scores_are_those_of_earmark_tag(long: Path, tmp_path: Path) -> None:
    model = make_model()
    soundfile.write(tmp_path / "short.wav", noise(0.3, seed=1), RATE)
    clips = [Clip(long, ("Dog",)), Clip(tmp_path / "short.wav", ("Rain", "Dog"))]
    found = predict(model, clips, CLASSES, HERE)
    assert found.names == ("long.wav", "short.wav")
    assert found.targets.tolist() == [[False, True], [True, True]]
    for row, clip in enumerate(clips):
        told = {one.label: one.score for one in tag(clip.path, model=model, top=3, workers=0).tags}
        scores = dict(zip(found.labels.names, found.scores[row].tolist(), strict=True))
        assert scores == pytest.approx(told, abs=1e-6)


def test_a_stretch_of_a_file_is_heard_alone(long: Path, tmp_path: Path) -> None:
    model = make_model()
    sound, _ = soundfile.read(long, dtype="float32")
    soundfile.write(tmp_path / "part.wav", sound[RATE : 2 * RATE], RATE, subtype="FLOAT")
    clips = [Clip(long, (), start=1.0, end=2.0), Clip(tmp_path / "part.wav", ()), Clip(long, ())]
    found = predict(model, clips, CLASSES, HERE)
    assert found.names[0] == "long.wav#1-2"
    assert found.groups[0] == found.groups[2] == "long.wav"
    np.testing.assert_allclose(found.scores[0], found.scores[1], atol=1e-3)
    assert np.abs(found.scores[0] - found.scores[2]).max() > 1e-6


def test_a_clip_that_cannot_be_heard_keeps_its_place(long: Path, tmp_path: Path) -> None:
    gone = tmp_path / "gone.wav"
    clips = [Clip(gone, ("Dog",)), Clip(long, ("Dog",)), Clip(gone, ("Rain",), start=0.5)]
    found = predict(make_model(), clips, CLASSES, HERE)
    assert found.heard.tolist() == [False, True, False]
    assert len(found.failures) == 2
    assert all("gone.wav" in sentence for sentence in found.failures)
    assert found.of_heard().names == ("long.wav",)


def test_names_tell_nothing_of_the_machine() -> None:
    clips = [Clip(Path("/data/x/a.wav"), ()), Clip(Path("/data/y/a.wav"), ())]
    assert clip_names(clips) == ("x/a.wav", "y/a.wav")


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_predictions_come_back_from_disk_as_they_were(suffix: str, tmp_path: Path) -> None:
    scores, targets, known = cells(0)
    made = predictions(np.hstack([scores, scores[:, :2]]), targets, known, labels=7)
    made = made._replace(failures=("a.wav: gone",), about={"model": "m", "folds": [1, 2]})
    made.heard[3] = False
    write_predictions(made, tmp_path / f"p{suffix}")
    found = read_predictions(tmp_path / f"p{suffix}")
    for name in Predictions._fields:
        ours, theirs = getattr(made, name), getattr(found, name)
        assert np.array_equal(ours, theirs) if isinstance(ours, np.ndarray) else ours == theirs, name
    assert report_of(found) == report_of(made)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda path: path.write_bytes(b"no archive"), "is damaged, or holds no predictions"),
        (lambda path: path.write_bytes(path.read_bytes()[:700]), "is damaged, or holds no predictions"),
        (lambda path: np.savez(path, scores=np.zeros((2, 2))), "is damaged, or holds no predictions"),
        (lambda path: path.unlink(), "there is no such file"),
    ],
)
def test_damaged_predictions_are_one_sentence(change, words: str, tmp_path: Path) -> None:
    path = tmp_path / "p.npz"
    write_predictions(predictions(*cells(0)), path)
    change(path)
    with pytest.raises(ConfigError, match=words):
        read_predictions(path)


def test_predictions_that_do_not_fit_together_are_one_sentence(tmp_path: Path) -> None:
    made = predictions(*cells(0))
    write_predictions(made._replace(scores=made.scores[1:]), tmp_path / "p.npz")
    with pytest.raises(ConfigError, match=r"scores is \(59, 5\) but 60 clips, 5 labels"):
        read_predictions(tmp_path / "p.npz")
    made.scores[4, 1] = np.nan
    write_predictions(made, tmp_path / "p.npz")
    with pytest.raises(ConfigError, match=r"scores of 1 clips are NaN or infinite, first of 4\.wav"):
        read_predictions(tmp_path / "p.npz")


@pytest.mark.parametrize("exclusive", [False, True])
def test_the_mean_of_logits_is_what_an_ensemble_of_the_models_says(exclusive: bool, tmp_path: Path) -> None:
    models = [make_model(exclusive=exclusive) for _ in range(2)]
    with torch.no_grad():
        for parameter in models[1].parameters():
            parameter.mul_(1.5)
    soundfile.write(tmp_path / "a.wav", noise(0.8), RATE)
    clips = [Clip(tmp_path / "a.wav", ("Dog",))]
    alone = [predict(model, clips, models[0].labels, HERE) for model in models]
    together = predict(Ensemble(models).eval(), clips, models[0].labels, HERE)
    np.testing.assert_allclose(averaged(alone, "logits").scores, together.scores, atol=1e-6)
    assert np.abs(alone[0].scores - alone[1].scores).max() > 1e-4


def test_the_mean_of_probabilities_is_just_that() -> None:
    (first, targets), (second, _) = one_label(0), one_label(1)
    members = [predictions(scores, targets, exclusive=True) for scores in (first, second)]
    np.testing.assert_allclose(averaged(members, "probabilities").scores, (first + second) / 2, atol=1e-6)


def test_models_with_other_labels_meet_in_those_of_the_corpus() -> None:
    scores, targets, known = cells(0)
    wide = predictions(np.hstack([scores, scores]), targets, known, labels=10)
    both = averaged([wide, predictions(scores, targets, known)])
    assert both.labels.names == both.classes.names
    np.testing.assert_allclose(both.scores, scores, atol=1e-6)


def test_a_cumulative_ensemble_begins_with_the_first_member() -> None:
    _, targets, known = cells(0)
    members = [predictions(cells(seed)[0], targets, known) for seed in (0, 5, 6)]
    steps = cumulative(members, "probabilities")
    assert len(steps) == 3
    assert steps[0]["map"] == pytest.approx(report_of(members[0]).mean_ap)
    assert steps[2]["map"] == pytest.approx(report_of(averaged(members, "probabilities")).mean_ap)


def test_a_clip_that_one_member_did_not_hear_is_not_heard() -> None:
    members = [predictions(*cells(0)), predictions(*cells(0))]
    members[1].heard[5] = False
    assert averaged(members).heard.sum() == 59


def test_what_cannot_be_averaged_is_one_sentence() -> None:
    scores, targets, known = cells(0)
    ours = predictions(scores, targets, known)
    shorter = ours.take(range(10))
    with pytest.raises(ConfigError, match=r"not of the same clips \(60 and 10\): 10\.wav is in one of them"):
        averaged([ours, shorter])
    with pytest.raises(ConfigError, match="stand in another order"):
        averaged([ours, ours.take(range(59, -1, -1))])
    with pytest.raises(ConfigError, match="other labels of their clips"):
        averaged([ours, ours._replace(targets=~targets)])
    with pytest.raises(ConfigError, match="exclude one another in only one"):
        averaged([ours, ours._replace(labels=ours.labels.replace(exclusive=True))])


def test_folds_joined_count_as_one() -> None:
    whole = predictions(*cells(0))
    parts = [whole.take(range(25)), whole.take(range(25, 60))]
    assert report_of(joined(parts)).metrics == pytest.approx(report_of(whole).metrics)


def test_failed_clips_count_as_wrong_in_accuracies_only() -> None:
    scores, targets = one_label(0)
    whole = predictions(scores, targets, exclusive=True)
    whole.heard[:30] = False
    found, alone = report_of(whole), report_of(whole.take(range(30, 60)))
    assert found.metrics["accuracy"] == pytest.approx(alone.metrics["accuracy"] / 2)
    assert found.top1 == found.top1_within == found.metrics["accuracy"]
    assert found.mean_ap == alone.mean_ap


def test_where_nothing_was_heard_there_is_no_figure() -> None:
    whole = predictions(*cells(0))
    whole.heard[:] = False
    with pytest.raises(ConfigError, match="none of 60 clips could be heard"):
        report_of(whole._replace(failures=("a.wav: gone",)))


def test_the_best_common_epoch_is_the_first_of_equal_ones() -> None:
    assert best_common_epoch([[0.5, 0.5], [0.25, 0.25]]) == (1, 0.375)
