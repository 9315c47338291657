"""Settings that make no sense are sentences before anything is computed."""

import pytest
from tone_recipe import TINY

from earmark.config import ConfigError, override
from earmark.data import Split
from earmark.training import Settings
from earmark.training.distributing.world import world
from earmark.training.supervised.materials import extras_of


@pytest.mark.parametrize("device", ["meta", "mps", "tpu"])
def test_a_device_on_which_nothing_is_learned_is_a_sentence(device: str) -> None:
    with pytest.raises(ConfigError, match=f"{device}.*; take cpu, cuda or cuda:N"), world(device):
        pass


def test_trackers_are_given_by_name_on_the_command_line() -> None:
    assert override(Settings(), ["trackers=wandb"]).trackers == ("wandb",)
    assert override(Settings(), ["trackers=wandb,mlflow"]).trackers == ("wandb", "mlflow")
    assert override(Settings(), ['trackers=["mlflow"]']).trackers == ("mlflow",)
    with pytest.raises(ConfigError, match="'wandb' or 'mlflow'"):
        override(Settings(), ["trackers=comet"])


@pytest.mark.parametrize("asked", ["teacher=builtin", "impulse_responses=rooms"])
def test_what_the_recipe_would_never_use_is_not_passed_over(asked: str) -> None:
    split = Split(TINY.corpus.labels, [], [])
    with pytest.raises(ConfigError, match=f"{asked.partition('=')[0]}.* given but the recipe"):
        extras_of(TINY, split, override(Settings(), [asked]))
