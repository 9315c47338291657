"""A linear probe on frozen embeddings, and the same by command."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from earmark.cli.evaluate import evaluate
from earmark.cli.probe import probe as probe_command
from earmark.config import ConfigError
from earmark.data import CORPORA, Clip, Split
from earmark.encoders import ResidualCNN
from earmark.evaluation.probe import found_by_regression, probe
from earmark.frontends import LogMel
from earmark.labels import LabelSet, audioset_labels
from earmark.models import LinearHead, Tagger, TaggerConfig, save
from earmark.models.catalog import BY_NAME

DATA = os.environ.get("EARMARK_DATA")
MN04 = "weights/efficientat_mn04/mn04_as_mAP_432.pt"
REAL = pytest.mark.skipif(not DATA, reason="EARMARK_DATA is unset: no real corpora and weights here")


@pytest.fixture(scope="module")
def model() -> Tagger:
    """An untrained net with AudioSet's labels: it still tells pitches apart."""
    torch.manual_seed(0)
    config = TaggerConfig(
        frontend=LogMel(n_mels=32, fmax_jitter=1),
        encoder=ResidualCNN(n_bands=32, widths=(8,), stem=8),
        head=LinearHead(norm=False),
        labels=audioset_labels(),
        clip_seconds=0.5,
    )
    return config.build().eval()


def clip(folder: Path, name: str, hertz: float, *labels: str) -> Clip:
    wave = 0.3 * np.sin(2 * np.pi * hertz * np.arange(8000) / 16000)
    soundfile.write(folder / name, wave, 16000)
    return Clip(folder / name, labels)


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Two pitches, a semitone around each."""
    train = [clip(tmp_path, f"low{i}.wav", 200 + 5 * i, "low") for i in range(4)]
    train += [clip(tmp_path, f"high{i}.wav", 3000 + 50 * i, "high") for i in range(4)]
    test = [clip(tmp_path, "a.wav", 212, "low"), clip(tmp_path, "b.wav", 3120, "high")]
    return Split(LabelSet(names=("low", "high"), exclusive=True), train, test)


def test_a_probe_finds_what_embeddings_tell_apart(model: Tagger, split: Split) -> None:
    report = probe(model, [split, Split(split.labels, split.test, split.train)])
    assert report.scores == [1.0, 1.0]
    assert (report.clips, report.failed, report.mean, report.deviation) == (10, [], 1.0, 0.0)
    assert (report.metric, report.chance) == ("top-1", 0.5)


def test_a_held_out_clip_that_cannot_be_heard_counts_as_wrong(
    model: Tagger, split: Split, tmp_path: Path
) -> None:
    gone = [Clip(tmp_path / "gone.wav", ("low",)), Clip(tmp_path / "lost.wav", ("high",))]
    report = probe(model, [Split(split.labels, split.train + gone[:1], split.test + gone[1:])])
    assert report.scores == [2 / 3]
    assert ["gone.wav" in report.failed[0], "lost.wav" in report.failed[1]] == [True, True]


def test_a_probe_leaves_the_model_as_it_was(model: Tagger, split: Split) -> None:
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    probe(model, [split])
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_regression_does_not_care_for_the_scale_of_an_axis() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(60, 3))
    names = ["up" if row[0] + 0.5 * row[1] > 0 else "down" for row in vectors]
    held_out = rng.normal(size=(40, 3))
    scaled = np.array([1000.0, 0.001, 7.0])
    assert found_by_regression(vectors, names, held_out) == found_by_regression(
        vectors * scaled, names, held_out * scaled
    )


def test_what_cannot_be_probed_is_one_sentence(model: Tagger, split: Split, tmp_path: Path) -> None:
    two = [clip(tmp_path, "two.wav", 400, "low", "high")]
    with pytest.raises(ConfigError, match=r"two\.wav has 2 labels"):
        probe(model, [Split(split.labels, split.train, two)])
    with pytest.raises(ConfigError, match="check the folder and the folds"):
        probe(model, [Split(split.labels, split.train, [])])
    with pytest.raises(ConfigError, match="two labels or more"):
        probe(model, [Split(split.labels, split.train[:4], split.test)])


def test_the_command_probes_every_fold_of_a_corpus_that_the_model_never_saw(
    model: Tagger, tones: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, report = tmp_path / "model.safetensors", tmp_path / "report.json"
    save(model, file)
    assert probe_command(tones, model=str(file), corpus="esc10", out=report) == 0
    printed = capsys.readouterr().out
    assert "fold 5: top-1" in printed
    assert "50 clips, 0 failed: mean top-1" in printed
    tree = json.loads(report.read_text())
    assert tree["folds"] == [1, 2, 3, 4, 5]
    assert tree["mean"] > 0.5  # ten pitches; a guess finds a tenth
    assert tree["chance"] == pytest.approx(0.1)
    assert probe_command(tones, model=str(file), corpus="esc10", fold=2, out=report) == 0
    assert json.loads(report.read_text())["folds"] == [2]


def test_any_table_can_be_probed_and_its_groups_stay_on_one_side(
    model: Tagger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file, table = tmp_path / "model.safetensors", tmp_path / "clips.csv"
    save(model, file)
    lines = ["file,label,group"]
    for number in range(20):
        for name, hertz in (("low", 200), ("high", 3000)):
            clip(tmp_path, f"{name}{number}.wav", hertz * (1 + number / 100), name)
            lines.append(f"{name}{number}.wav,{name},{name}-{number // 2}")
    table.write_text("\n".join(lines))
    assert probe_command(table, model=str(file), layer=["bands", 0], pool="mean") == 0
    printed = capsys.readouterr().out
    assert "fold 5: top-1" in printed
    assert "40 clips, 0 failed: mean top-1 1.0000 +- 0.0000" in printed


def test_clips_of_several_labels_are_counted_by_mean_average_precision(model: Tagger, tmp_path: Path) -> None:
    rate, rng, clips = 16000, np.random.default_rng(0), list[Clip]()
    for number in range(40):
        labels = [name for name in ("low", "high") if rng.random() < 0.5]
        wave = np.zeros(8000)
        for name in labels:
            hertz = {"low": 250, "high": 3000}[name] * rng.uniform(0.95, 1.05)
            wave += 0.3 * np.sin(2 * np.pi * hertz * np.arange(8000) / rate)
        soundfile.write(tmp_path / f"{number}.wav", wave + rng.normal(0, 1e-3, 8000), rate)
        clips.append(Clip(tmp_path / f"{number}.wav", tuple(labels)))
    gone = Clip(tmp_path / "gone.wav", ("low",))
    labels = LabelSet(names=("low", "high", "never"), exclusive=False)
    report = probe(model, [Split(labels, clips[:30], clips[30:])])
    assert (report.metric, report.mean) == ("mAP", 1.0)
    assert 0.1 < report.chance < 0.8
    worse = probe(model, [Split(labels, clips[:30], [*clips[30:], gone])])
    assert worse.mean < 1.0  # what cannot be heard is ranked last
    assert len(worse.failed) == 1


def test_a_model_of_other_labels_is_counted_on_all_clips_at_once(
    model: Tagger, tones: Path, tmp_path: Path
) -> None:
    file, report = tmp_path / "model.safetensors", tmp_path / "report.json"
    save(model, file)
    assert evaluate(str(file), data=tones, corpus="esc10", out=report) == 0
    assert json.loads(report.read_text())["clips"] == 50


def test_a_model_that_may_know_the_clips_by_heart_is_counted_on_the_fold_it_never_saw(
    model: Tagger, tones: Path, tmp_path: Path
) -> None:
    file, report = tmp_path / "model.safetensors", tmp_path / "report.json"
    known = model.config.replace(labels=CORPORA["esc50"].labels).build()
    save(known, file)
    with pytest.raises(ConfigError, match="does not say from which folds it learned"):
        evaluate(str(file), data=tones, corpus="esc10")
    save(known, file, {"fold": 3})  # as a published model's conversion says it
    assert evaluate(str(file), data=tones, corpus="esc10", out=report) == 0
    assert json.loads(report.read_text())["clips"] == 10
    with pytest.raises(ConfigError, match="has learned from fold 1"):
        evaluate(str(file), data=tones, corpus="esc10", fold=1)
    assert [BY_NAME[f"passt-s.esc50-fold{fold}"].fold for fold in range(1, 6)] == [1, 2, 3, 4, 5]


def test_a_model_without_a_head_can_only_be_probed(model: Tagger, tones: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save(model.config.replace(head=None).build(), file)
    with pytest.raises(ConfigError, match="has no head and gives embeddings only; try `earmark probe`"):
        evaluate(str(file), data=tones, corpus="esc10")


@REAL
@pytest.mark.slow
@pytest.mark.parametrize(
    ("corpus", "folder", "probed", "key", "expected"),
    [
        ("esc10", "esc10", False, "top1_within", 0.960),
        ("esc10", "esc10", True, "mean", 0.985),
        ("esc50", "esc50_16k", True, "mean", 0.9355),
    ],
)
def test_the_published_mn04_hears_as_its_reference_does(
    corpus: str, folder: str, probed: bool, key: str, expected: float, tmp_path: Path
) -> None:
    assert DATA is not None
    assert corpus in CORPORA
    report = tmp_path / "report.json"
    root = Path(DATA)
    if probed:
        assert probe_command(root / folder, model=str(root / MN04), corpus=corpus, out=report) == 0
    else:
        assert evaluate(str(root / MN04), data=root / folder, corpus=corpus, out=report) == 0
    assert json.loads(report.read_text())[key] == pytest.approx(expected, abs=0.005)
