"""`earmark recipes`: the list, and a recipe that can be given back."""

import json
from pathlib import Path

import pytest

from earmark.cli import main
from earmark.recipes import PRETRAINING, RECIPES
from earmark.training import Recipe


def said(capsys: pytest.CaptureFixture[str], *call: str) -> str:
    with pytest.raises(SystemExit) as status:
        main(["recipes", *call])
    assert status.value.code == 0
    return capsys.readouterr().out


def test_every_recipe_stands_in_one_line_with_its_figure(capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys).splitlines()
    listed = [*RECIPES, *PRETRAINING]
    assert [line.split()[0] for line in lines[1 : 1 + len(listed)]] == listed
    assert any(line.startswith("audioset-passt-s ") and "mAP .471" in line for line in lines)
    assert max(map(len, lines)) <= 110
    rows = json.loads(said(capsys, "--json"))
    assert [row["recipe"] for row in rows] == listed


def test_a_shown_recipe_can_be_given_back_as_a_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    text = said(capsys, "esc50-ast-tiny")
    assert Recipe.from_json(text) == RECIPES["esc50-ast-tiny"]
    (tmp_path / "mine.json").write_text(text)
    assert said(capsys, str(tmp_path / "mine.json")) == text


def test_an_unknown_recipe_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        main(["recipes", "esc50-past"])
    assert status.value.code == 2
    assert "did you mean 'esc50-passt'" in capsys.readouterr().err
