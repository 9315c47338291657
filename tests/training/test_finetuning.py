"""Fine-tuning on somebody's own clips: what is chosen, why, and that it learns."""

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from tone_recipe import TINY

from earmark.cli.choosing import chosen_recipe
from earmark.config import ConfigError
from earmark.data import Clip, Split
from earmark.encoders import AST, MN, PaSST
from earmark.evaluation import evaluate
from earmark.frontends import KaldiFbank, LogMel
from earmark.labels import LabelSet, audioset_labels
from earmark.models import TaggerConfig, save
from earmark.recipes import RECIPES
from earmark.training import Recipe, train
from earmark.training.beginning.finetuning import fine_tuning, lengths
from earmark.training.beginning.fitting import fitted_model

PASST = RECIPES["audioset-passt-b"].model
AST_10S = RECIPES["audioset-ast"].model
MN04 = TaggerConfig(frontend=LogMel(), encoder=MN(width=0.4), labels=audioset_labels())
CORPUS = TINY.corpus
LABELS = LabelSet(names=("dog", "cat"), exclusive=True)


def chosen(source: TaggerConfig, clips: int, seconds: list[float]) -> Recipe:
    split = Split(CORPUS.labels, [Clip(Path("a.wav"), ("Dog",))] * clips, [])
    return fine_tuning("a model", source, CORPUS, split, seconds).recipe


@pytest.mark.parametrize("source", [PASST, AST_10S, MN04, TINY.model])
@pytest.mark.parametrize("clips", [1, 150, 60_000])
@pytest.mark.parametrize("seconds", [[0.1], [5.0], [3.0, 47.0], []])
def test_there_are_settings_for_every_size(source: TaggerConfig, clips: int, seconds: list[float]) -> None:
    recipe = chosen(source, clips, seconds)
    assert Recipe.from_json(recipe.to_json()) == recipe
    steps = recipe.epochs * -(-clips // recipe.batch_size)
    assert 5 <= recipe.epochs <= 60
    assert steps <= 25_000
    assert recipe.model.labels == CORPUS.labels
    assert recipe.model.encoder.kind == source.encoder.kind
    assert 0 < recipe.model.clip_seconds <= source.clip_seconds


def test_few_clips_are_changed_less_and_heard_more_often() -> None:
    few, many = chosen(MN04, 40, [5.0]), chosen(MN04, 4000, [5.0])
    assert few.epochs > many.epochs
    assert few.batch_size < many.batch_size
    assert few.augment.time_mask < many.augment.time_mask
    assert few.augment.mixup is not None
    assert many.augment.mixup is not None
    assert few.augment.mixup.share < many.augment.mixup.share


def test_transformers_learn_slowly_and_slower_at_the_bottom() -> None:
    transformer, net = chosen(PASST, 1000, [10.0]).optimizer, chosen(MN04, 1000, [10.0]).optimizer
    assert transformer.lr < net.lr
    assert transformer.layer_decay < 1 == net.layer_decay
    assert transformer.head_factor > 1 < net.head_factor


def test_windows_follow_the_clips_up_to_what_the_model_knows() -> None:
    def window(source: TaggerConfig, seconds: list[float]) -> float:
        return fitted_model(source, LABELS, seconds)[0].clip_seconds

    assert window(MN04, [4.98] * 10) == 5.0
    assert window(MN04, [2.0] * 9 + [60.0]) == 2.0, "nine of ten clips fit"
    assert window(MN04, [60.0]) == 10.0
    assert window(MN04, [0.31]) == 0.4
    assert window(MN04, []) == 10.0
    assert window(PASST, [0.02]) == 0.2


def test_longer_clips_are_heard_at_random_places_and_shorter_ones_are_repeated() -> None:
    long, short = chosen(MN04, 100, [3.0] * 19 + [30.0]), chosen(MN04, 100, [1.0, 1.0, 4.0, 4.0])
    assert long.augment.random_offset
    assert not short.augment.random_offset
    assert short.model.padding == "loop"
    assert chosen(MN04, 100, [5.0]).model.padding == MN04.padding


def test_an_ast_gets_a_shorter_table_and_patchout_is_for_passt() -> None:
    ast = fitted_model(AST_10S, LABELS, [5.0])[0]
    assert isinstance(ast.encoder, AST)
    assert isinstance(ast.frontend, KaldiFbank)
    assert ast.encoder.max_frames == ast.frontend.length == 512, "as published for ESC-50"
    encoder = chosen(PASST, 1000, [5.0]).model.encoder
    assert isinstance(encoder, PaSST)
    assert (encoder.patchout.time, encoder.patchout.frequency) == (9, 3)


def test_a_model_that_takes_one_length_only_keeps_it() -> None:
    source = RECIPES["audioset-resnet"].model
    model, reasons = fitted_model(source, LABELS, [2.0])
    assert model.clip_seconds == source.clip_seconds
    assert any("takes no shorter ones" in reason for reason in reasons)


def test_an_embedding_model_gets_a_linear_head() -> None:
    model, reasons = fitted_model(MN04.replace(head=None), LABELS, [5.0])
    assert model.head is not None
    assert any("the model has none" in reason for reason in reasons)


@pytest.fixture(scope="module")
def beeps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A table of low and high beeps of different lengths, with a split and a label to look for."""
    root = tmp_path_factory.mktemp("beeps")
    rng = np.random.default_rng(0)
    with (root / "mine.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "species", "note", "split"])
        for index in range(40):
            time = np.arange(rng.integers(1500, 6000)) / 8000
            pitch = (300 if index % 2 else 1500) * rng.uniform(0.9, 1.1)
            soundfile.write(root / f"{index}.wav", 0.3 * np.sin(2 * np.pi * pitch * time), 8000)
            writer.writerow(
                [
                    f"{index}.wav",
                    ("high", "low")[index % 2],
                    "xyz"[index % 3],
                    "test" if index > 30 else "train",
                ]
            )
    return root / "mine.csv"


@pytest.fixture(scope="module")
def known(tones: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that knows tones."""
    folder = tmp_path_factory.mktemp("known")
    save(train(TINY.replace(epochs=4), tones), folder / "model.safetensors")
    return folder


def test_one_command_learns_a_table(
    beeps: Path, known: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    recipe, root = chosen_recipe(None, str(known), beeps, ["epochs=15"])
    said = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in said][:4] == ["head:", "window", "padding:", "epochs"]
    assert (recipe.epochs, recipe.init, recipe.corpus.kind) == (15, str(known.resolve()), "Table")
    model = train(recipe, root)
    assert "not taken from" in caplog.text
    assert "head.linear.weight" in caplog.text
    split = recipe.corpus.read(root)
    report = evaluate(model, split.test, split.labels)
    assert report.top1 == 1.0


def test_the_same_choice_is_made_again_for_resuming_and_from_the_file_of_a_run(
    beeps: Path, known: Path, tmp_path: Path
) -> None:
    first, _ = chosen_recipe(None, str(known), beeps, [])
    second, root = chosen_recipe(None, str(known), beeps.parent, [])
    assert first == second, "the folder holds one table"
    (tmp_path / "recipe.json").write_text(first.to_json())
    assert chosen_recipe(str(tmp_path), None, beeps, [])[0] == first
    assert chosen_recipe(str(tmp_path / "recipe.json"), None, beeps.parent, []) == (first, root)


def test_the_corpus_can_be_told_what_its_table_does_not_say(beeps: Path, known: Path) -> None:
    recipe, _ = chosen_recipe(None, str(known), beeps, ["corpus.columns.label=note", "optimizer.lr=1e-3"])
    assert recipe.corpus.labels.names == ("x", "y", "z")
    assert recipe.model.labels == recipe.corpus.labels
    assert recipe.optimizer.lr == 1e-3


def test_labels_follow_the_corpus_of_a_named_recipe(tones: Path) -> None:
    recipe, root = chosen_recipe("esc50-ast-tiny", None, tones, ["corpus.esc10=true", "corpus.fold=3"])
    assert (len(recipe.model.labels), recipe.corpus.fold, root) == (10, 3, tones)


@pytest.mark.parametrize(
    ("recipe", "model", "words"),
    [
        (None, None, "give a recipe's name"),
        ("esc50-passt", "builtin", "not both"),
        ("esc50-pasta", None, "did you mean 'esc50-passt'"),
        (None, "bultin", "did you mean 'builtin'"),
        (None, "builtin,builtin", "is an ensemble"),
    ],
)
def test_wrong_calls_are_sentences(beeps: Path, recipe: str | None, model: str | None, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        chosen_recipe(recipe, model, beeps, [])


def test_a_recipe_file_that_is_none_is_named(beeps: Path, tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text('{"epoch": 3}')
    with pytest.raises(ConfigError, match=r"recipe.json: Recipe needs the field 'model'"):
        chosen_recipe(str(tmp_path), None, beeps, [])
    (tmp_path / "recipe.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match=r"recipe.json"):
        chosen_recipe(str(tmp_path), None, beeps, [])


def test_lengths_are_taken_from_some_files_and_from_stretches(beeps: Path) -> None:
    clips: list[Any] = [Clip(beeps.parent / f"{index}.wav", ("low",)) for index in range(40)]
    assert len(lengths(clips, most=10)) == 10
    assert len(lengths(clips)) == 40
    assert lengths([Clip(Path("gone.wav"), ()), Clip(Path("gone.wav"), (), 1.0, 3.5)]) == [2.5]
    assert lengths([]) == []


def test_lengths_are_taken_from_packs(tmp_path: Path) -> None:
    """Else a model of 2 s would hear the beginnings alone of packed clips of 10 s."""
    from data.packs import mp3, noise, write_pack

    pack = write_pack(
        tmp_path / "a.hdf", [mp3(noise(1.0, 1)), mp3(noise(3.0, 2))], np.zeros((2, 1), np.uint8)
    )
    found = lengths([Clip(pack, (), row=0), Clip(pack, (), row=1), Clip(pack, (), row=9)])
    assert found == pytest.approx([1.0, 3.0], abs=0.15)
