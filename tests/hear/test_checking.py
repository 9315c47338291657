"""`earmark hear check` says what is wrong with a module, and nothing where nothing is."""

from types import ModuleType
from typing import Any

import pytest
import torch

from earmark.cli import main
from earmark.config import ConfigError
from earmark.hear import builtin
from earmark.hear.checking import check, find_module
from earmark.hear.module import HearModel


@pytest.fixture(scope="module")
def model() -> HearModel:
    return builtin.load_model()


def complaints(model: HearModel, **functions: Any) -> dict[str, str]:
    """What is wrong with the built-in module if some of its functions are others."""
    spoiled = ModuleType("spoiled")
    for name in ("load_model", "get_scene_embeddings", "get_timestamp_embeddings"):
        setattr(spoiled, name, functions.get(name, getattr(builtin, name)))
    return {found.what: found.complaint for found in check(spoiled, model) if found.complaint is not None}


def test_a_good_module_has_no_complaint(model: HearModel) -> None:
    assert complaints(model) == {}


def test_times_in_seconds_are_found(model: HearModel) -> None:
    def in_seconds(audio: torch.Tensor, model: HearModel) -> tuple[torch.Tensor, torch.Tensor]:
        found, times = builtin.get_timestamp_embeddings(audio, model)
        return found, times / 1000

    assert "times of 4.0 s cover it by 50 ms" in complaints(model, get_timestamp_embeddings=in_seconds)


def test_embeddings_that_know_of_their_neighbors_are_found(model: HearModel) -> None:
    def normalized(audio: torch.Tensor, model: HearModel) -> torch.Tensor:
        found = builtin.get_scene_embeddings(audio, model)
        return found - found.mean(dim=0)

    told = complaints(model, get_scene_embeddings=normalized)
    assert list(told) == ["scene embeddings do not depend on the batch"]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [(lambda times: times[:, :1], "there is but one"), (lambda times: -times, "must rise")],
)
def test_times_that_stand_or_fall_are_found(model: HearModel, spoil: Any, words: str) -> None:
    def spoiled(audio: torch.Tensor, model: HearModel) -> tuple[torch.Tensor, torch.Tensor]:
        found, times = builtin.get_timestamp_embeddings(audio, model)
        return found[:, : spoil(times).shape[1]], spoil(times)

    told = complaints(model, get_timestamp_embeddings=spoiled)
    assert words in told["times of 4.0 s are regular and inside"]


def test_embeddings_by_chance_and_of_another_size_are_found(model: HearModel) -> None:
    def random(audio: torch.Tensor, model: HearModel) -> torch.Tensor:
        return torch.rand(len(audio), 3)

    told = complaints(model, get_scene_embeddings=random)
    assert {"scene embeddings", "scene embeddings twice are the same"} <= set(told)


def test_modules_are_found_by_name_and_others_are_sentences() -> None:
    assert find_module("passt-2level").__name__ == "earmark.hear.passt_2level"
    with pytest.raises(ConfigError, match="no HEAR module 'passt_3level'"):
        find_module("passt_3level")
    for name in ("", ".x", "../x"):
        with pytest.raises(ConfigError, match="no HEAR module"):
            find_module(name)
    with pytest.raises(ConfigError, match="json is no HEAR module: it has no load_model"):
        find_module("json")


def test_the_command_says_looks_good(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["hear", "check", "model"])
    assert ended.value.code == 0
    assert "model: Looks good!" in capsys.readouterr().out
