"""Some steps of masked patches by as many processes as there are; the main one writes what came of them."""

import sys
from pathlib import Path

import torch
from shared_pretraining import share
from tiny_dbert import crops
from tiny_patches import AST_TINY, CLUSTERS, everything, learner

from earmark.training.distributing.world import World, world
from earmark.training.pretraining.patches.learner import MaskedLearner


def pretrained(place: World) -> tuple[MaskedLearner, list[float]]:
    """A learner after some steps, and the loss of each; the third batch has a single clip."""
    one = learner(CLUSTERS, AST_TINY, world=place)
    losses: list[float] = []
    for number in range(6):
        batch = crops(number, clips=1 if number == 3 else 5, shortest=0.5)
        loss = one.step(share(batch, place), 0, number, None).loss
        losses += [] if loss is None else [loss]
    return one, losses


if __name__ == "__main__":
    with world("cpu") as place:
        torch.set_num_threads(1)
        one, losses = pretrained(place)
        if place.is_main:
            found = {"losses": losses, "state": everything(one), "measures": one.measures}
            torch.save(found, Path(sys.argv[1]))
