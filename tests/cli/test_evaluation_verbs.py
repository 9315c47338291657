"""`earmark evaluate`, `crossval`, `average`, and the thresholds that `earmark tag` takes from them."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from earmark.cli.average import average
from earmark.cli.crossval import crossval
from earmark.cli.evaluate import evaluate
from earmark.config import ConfigError
from earmark.data import CORPORA
from earmark.encoders import ResidualCNN
from earmark.evaluation.folds import headlines
from earmark.evaluation.stored import read_predictions
from earmark.evaluation.together import averaged
from earmark.frontends import LogMel
from earmark.inference.tagging import tag
from earmark.inference.thresholds import read_thresholds
from earmark.labels import LabelSet
from earmark.models import Tagger, TaggerConfig, load, read_header, save
from earmark.recipes import RECIPES

SMALL = ["epochs=1", "model.encoder.widths=[4,8]", "model.encoder.stem=4", "batch_size=8"]


def small(labels: LabelSet, seed: int = 0) -> Tagger:
    torch.manual_seed(seed)
    config = TaggerConfig(
        frontend=LogMel(n_mels=32, fmax_jitter=1),
        encoder=ResidualCNN(n_bands=32, widths=(8,), stem=8),
        labels=labels,
        clip_seconds=0.5,
    )
    return config.build().eval()


@pytest.fixture
def models(tmp_path: Path) -> list[str]:
    """Two small models with ESC-10's labels that held out its first fold."""
    files = [tmp_path / "a.safetensors", tmp_path / "b.safetensors"]
    for seed, file in enumerate(files):
        save(small(CORPORA["esc10"].labels, seed), file, {"fold": 1})
    return [str(file) for file in files]


def table_of(tones: Path, folder: Path) -> Path:
    """The tones as somebody's own table, with a part to choose by; the labels do not exclude one another."""
    rows = list(csv.DictReader((tones / "metadata.csv").read_text().splitlines()))
    parts = {"1": "test", "2": "validation"}
    with (folder / "mine.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["file", "labels", "split"])
        for row in rows:
            kind = "low" if int(row["source_id"]) < 5 else "high"
            labels = f"{kind};odd" if int(row["source_id"]) % 2 else kind
            writer.writerow([tones / "audio" / row["filename"], labels, parts.get(row["fold"], "train")])
    return folder / "mine.csv"


def test_thresholds_are_chosen_on_validation_clips_and_tag_uses_them(tones: Path, tmp_path: Path) -> None:
    table, run = table_of(tones, tmp_path), tmp_path / "run"
    run.mkdir()
    save(small(LabelSet(names=("high", "low", "odd"))), run / "model.safetensors")
    assert evaluate(str(run), data=table, out=run, set_=["resamples=20"]) == 0
    tree = json.loads((run / "report.json").read_text())
    assert "10 clips: validation clips" in tree["thresholds"]["chosen_on"]
    assert tree["clips"] == 10
    assert tree["intervals"]["map"][0] <= tree["metrics"]["map"] <= tree["intervals"]["map"][1]
    chosen = read_thresholds(run)
    assert chosen.temperature == tree["calibration"]["temperature"] != 1.0
    clips = sorted((tones / "audio").iterdir())[:5]
    every = tag(clips, model=run, top=3, workers=0)
    ours = tag(clips, model=run, top=3, threshold="auto", workers=0)
    least = dict(zip(chosen.labels, chosen.of(chosen.labels).tolist(), strict=True))
    for all_tags, tags in zip(every, ours, strict=True):
        scores = {one.label: one.score for one in all_tags.tags}
        logits = {label: np.log(score / (1 - score)) / chosen.temperature for label, score in scores.items()}
        mended = {label: 1 / (1 + np.exp(-logit)) for label, logit in logits.items()}
        expected = {label: score for label, score in mended.items() if score >= least[label]}
        assert {one.label: one.score for one in tags.tags} == pytest.approx(expected, abs=1e-6)


def test_tag_takes_thresholds_by_name_on_the_command_line(
    models: list[str], tones: Path, tmp_path: Path, earmark
) -> None:
    report = tmp_path / "report"
    assert (
        evaluate(models[0], data=tones, corpus="esc10", out=report, set_=["resamples=0", "precision=0.6"])
        == 0
    )
    chosen = read_thresholds(report)
    assert chosen.rule == "the largest recall at a precision of 0.6"
    clip = next((tones / "audio").iterdir())
    for threshold in (report, report / "thresholds.json"):
        result = earmark(
            "tag", clip, "--model", models[0], "--format", "json", "--top", "10", "--threshold", threshold
        )
        assert result.returncode == 0, result.stderr
        tags = json.loads(result.stdout)[0]["tags"]
        least = dict(zip(chosen.labels, chosen.of(chosen.labels).tolist(), strict=True))
        assert all(one["score"] >= least[one["label"]] - 1e-4 for one in tags)
    for threshold, words in (
        ("nowhere.json", "neither a number from 0 to 1 nor a file of thresholds"),
        ("auto", "there is no thresholds.json"),
        ("1.5", "threshold is 1.5; scores are probabilities"),
    ):
        result = earmark("tag", clip, "--model", models[0], "--threshold", threshold)
        assert result.returncode == 2
        assert words in result.stderr.decode()


def test_several_models_are_counted_alone_and_together(
    models: list[str], tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [tmp_path / f"{number}.npz" for number in range(2)]
    for model, file in zip(models, files, strict=True):
        assert evaluate(model, data=tones, corpus="esc10", out=file) == 0
    computed, stored, one = tmp_path / "computed.json", tmp_path / "stored.json", tmp_path / "one.json"
    assert evaluate(*models, data=tones, corpus="esc10", out=computed) == 0
    assert "mean of 2, probabilities" in capsys.readouterr().out
    assert evaluate(*map(str, files), out=stored) == 0
    assert evaluate(",".join(models), data=tones, corpus="esc10", out=one) == 0
    trees = [json.loads(file.read_text()) for file in (computed, stored, one)]
    assert trees[0]["metrics"] == pytest.approx(trees[1]["metrics"])
    assert trees[0]["metrics"]["map"] == pytest.approx(trees[2]["metrics"]["map"])
    assert [len(steps) for steps in trees[0]["cumulative"].values()] == [2, 2]
    assert trees[0]["cumulative"]["logits"][1]["map"] == pytest.approx(trees[0]["metrics"]["map"])
    assert trees[0]["members"][1]["about"]["folds"] == [1]


def test_models_that_held_out_other_folds_have_no_clips_in_common(
    models: list[str], tones: Path, tmp_path: Path
) -> None:
    other = tmp_path / "c.safetensors"
    save(small(CORPORA["esc10"].labels), other, {"fold": 2})
    with pytest.raises(ConfigError, match="they have no held-out clips in common"):
        evaluate(models[0], str(other), data=tones, corpus="esc10")
    with pytest.raises(ConfigError, match="the fold that it never saw is 2"):
        evaluate(f"{models[0]},{other}", data=tones, corpus="esc10", fold=1)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        ({}, "needs --data"),
        ({"data": "tones", "corpus": "esc1"}, "did you mean 'esc1[05]'"),
        ({"data": "tones", "corpus": "esc10", "split": "validation"}, "has no validation clips"),
        ({"data": "tones", "corpus": "esc10", "set_": ["resamples=-1"]}, "resamples: "),
        ({"data": "tones", "corpus": "esc10", "set_": ["precison=0.9"]}, "did you mean 'precision'"),
        ({"data": "nowhere", "corpus": "esc10"}, "no table of ESC-50 or ESC-10"),
    ],
)
def test_a_wrong_call_of_evaluate_is_one_sentence(
    call: dict, words: str, models: list[str], tones: Path
) -> None:
    if "data" in call:
        call = call | {"data": tones if call["data"] == "tones" else Path("nowhere")}
    with pytest.raises(ConfigError, match=words):
        evaluate(models[0], **call)


def test_a_part_that_was_learned_from_can_be_counted_if_it_is_asked_for(
    models: list[str], tones: Path, tmp_path: Path
) -> None:
    assert evaluate(models[0], data=tones, corpus="esc10", split="train", out=tmp_path / "train.json") == 0
    tree = json.loads((tmp_path / "train.json").read_text())
    assert (tree["clips"], tree["about"]["split"]) == (40, "train")


def test_averaged_weights_are_the_mean_and_whole_numbers_the_last(models: list[str], tmp_path: Path) -> None:
    out = tmp_path / "mean.safetensors"
    with torch.no_grad():
        last = load(models[1])
        for module in last.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.num_batches_tracked.fill_(7)
        save(last, models[1], {"fold": 1, "epochs": 5})
    assert average([*models, models[1]], out=out) == 0
    states = [load(file).state_dict() for file in (*models, out)]
    for name, mean in states[2].items():
        if mean.is_floating_point():
            expected = (states[0][name].double() + 2 * states[1][name].double()) / 3
            assert torch.equal(mean, expected.float()), name
        else:
            assert torch.equal(mean, states[1][name]), name
    provenance = read_header(out).provenance
    assert (provenance["epochs"], len(provenance["averaged"])) == (5, 3)


def test_weights_of_different_models_are_not_averaged(models: list[str], tmp_path: Path) -> None:
    other, out = tmp_path / "other.safetensors", tmp_path / "mean.safetensors"
    save(small(CORPORA["esc50"].labels), other)
    with pytest.raises(ConfigError, match=r"described otherwise than .*a\.safetensors, in its labels"):
        average([models[0], str(other)], out=out)
    with pytest.raises(ConfigError, match="1 checkpoints cannot be averaged"):
        average(models[:1], out=out)
    with pytest.raises(ConfigError, match=r"must end in \.safetensors"):
        average(models, out=tmp_path / "mean.pt")
    assert not out.exists()


def test_crossval_goes_on_where_it_was_and_trains_no_fold_twice(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "folds"
    assert crossval("esc10-cnn", data=tones, out=out, folds=[1], set_=SMALL) == 0
    first = (out / "fold-1" / "model.safetensors").stat().st_mtime_ns
    predicted = (out / "fold-1" / "predictions.npz").stat().st_mtime_ns
    assert crossval("esc10-cnn", data=tones, out=out, folds=[1, 2], set_=SMALL) == 0
    assert (out / "fold-1" / "model.safetensors").stat().st_mtime_ns == first
    assert (out / "fold-1" / "predictions.npz").stat().st_mtime_ns == predicted
    assert "standard deviation over folds" in capsys.readouterr().out
    tree = json.loads((out / "crossval.json").read_text())
    accuracies = [tree["folds"][fold]["accuracy"] for fold in ("1", "2")]
    assert tree["metrics"]["accuracy"] == pytest.approx([np.mean(accuracies), np.std(accuracies, ddof=1)])
    assert tree["pooled"]["clips"] == 20
    assert tree["pooled"]["metrics"]["accuracy"] == pytest.approx(np.mean(accuracies))
    rows = (out / "fold-2" / "metrics.jsonl").read_text().splitlines()
    assert tree["cpu_seconds"]["2"] == json.loads(rows[-1])["cpu_seconds"] > 0
    assert "| deviation |" in (out / "crossval.md").read_text()
    assert read_predictions(out / "fold-2" / "predictions.npz").about["fold"] == 2
    with pytest.raises(ConfigError, match="holds a finished run of another recipe"):
        crossval("esc10-cnn", data=tones, out=out, folds=[1], set_=[*SMALL, "seed=3"])


def test_crossval_predicts_again_what_another_model_said(tones: Path, tmp_path: Path) -> None:
    out = tmp_path / "folds"
    assert crossval("esc10-cnn", data=tones, out=out, folds=[1, 3], set_=SMALL) == 0
    before = json.loads((out / "crossval.json").read_text())["folds"]
    shutil.copy(out / "fold-3" / "predictions.npz", out / "fold-1" / "predictions.npz")
    (out / "fold-3" / "predictions.npz").write_bytes(b"cut off")
    assert crossval("esc10-cnn", data=tones, out=out, folds=[1, 3], set_=SMALL) == 0
    assert json.loads((out / "crossval.json").read_text())["folds"] == before


def test_crossval_of_folds_that_are_not_there_is_one_sentence(tones: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no fold 6 to hold out; there are 1, 2, 3, 4, 5"):
        crossval("esc10-cnn", data=tones, out=tmp_path / "x", folds=[6], set_=SMALL)
    assert not (tmp_path / "x").exists()


def test_crossval_of_two_recipes_counts_the_mean_of_their_logits(
    tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.json").write_text(RECIPES["esc10-cnn"].replace(seed=1).to_json())
    out, names = tmp_path / "both", ["esc10-cnn", "other"]
    call = {"data": tones, "out": out, "folds": [2, 4], "set_": SMALL}
    assert crossval("esc10-cnn", str(tmp_path / "other.json"), **call) == 0
    files = [out / name / "fold-4" / "predictions.npz" for name in names]
    expected = averaged([read_predictions(file) for file in files])
    tree = json.loads((out / "crossval.json").read_text())
    assert tree["name"] == "esc10-cnn + other"
    assert tree["folds"]["4"]["map"] == pytest.approx(headlines(expected)["map"])
    assert [one["recipe"]["seed"] for one in tree["members"].values()] == [0, 1]
    for name, file in zip(names, files, strict=True):
        alone = headlines(read_predictions(file))
        assert tree["members"][name]["folds"]["4"]["accuracy"] == pytest.approx(alone["accuracy"])
    seconds = [tree["members"][name]["cpu_seconds"]["4"] for name in names]
    assert tree["cpu_seconds"]["4"] == pytest.approx(sum(seconds))
    said = capsys.readouterr().out
    assert "alone" in said
    assert "processor minutes a fold" in said
    assert "| other |" in (out / "crossval.md").read_text()
    before = [(out / name / "fold-2" / "model.safetensors").stat().st_mtime_ns for name in names]
    assert crossval("esc10-cnn", str(tmp_path / "other.json"), **call) == 0
    assert [(out / name / "fold-2" / "model.safetensors").stat().st_mtime_ns for name in names] == before
    assert json.loads((out / "crossval.json").read_text()) == tree


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ([], "name a recipe to go over the folds with"),
        (["esc10-cnn", "esc50-ast-tiny"], "esc50-ast-tiny learns from .* only models that hold out the same"),
        (["esc10-cnn", "esc10-cnn"], "two recipes are called 'esc10-cnn'"),
        (["esc10-cnn", "esc10-cn"], "did you mean 'esc10-cnn'"),
    ],
)
def test_recipes_that_cannot_be_averaged_are_one_sentence(
    names: list[str], words: str, tones: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=words):
        crossval(*names, data=tones, out=tmp_path / "x", folds=[1])
    assert not (tmp_path / "x").exists()
