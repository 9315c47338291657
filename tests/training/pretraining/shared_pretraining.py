"""Some steps of pretraining by as many processes as there are; the main one writes what came of them."""

import sys
from pathlib import Path

import torch
from tiny_dbert import ENCODER, OBJECTIVE, SEEDING, Terms, crops, learner

from earmark.encoders.clusters import Clusters
from earmark.training.distributing.shares import rank_share
from earmark.training.distributing.world import World, world
from earmark.training.pretraining import Crops, Generation, PretrainLearner, Reassign

CONFIG = ENCODER.replace(clusters=Clusters(summary=(4,), conv=(5, 7), output=(6,)))
TERMS = Terms(
    OBJECTIVE.replace(
        real_vs_centroid=0.3, every=2, generation=Generation(reassign=Reassign(every=3, below=20.0))
    )
)


def share(batch: Crops, place: World) -> Crops:
    rows = rank_share(torch.arange(batch.total).numpy(), place.rank, place.size).tolist()
    return batch._replace(
        waveform=batch.waveform[rows],
        lengths=batch.lengths[rows],
        clips=[batch.clips[row] for row in rows],
        places=[batch.places[row] for row in rows],
    )


def pretrained(place: World) -> tuple[PretrainLearner, list[float]]:
    """A learner after some steps, and the loss of each at which the student learned."""
    one = learner(TERMS, CONFIG, world=place)
    losses: list[float] = []
    for number in range(SEEDING.batches + 8):
        batch = crops(number, clips=1 if number == SEEDING.batches + 5 else 5, shortest=0.5)
        loss = one.step(share(batch, place), 0, number, None).loss
        losses += [] if loss is None else [loss]
    return one, losses


if __name__ == "__main__":
    with world("cpu") as place:
        torch.set_num_threads(1)
        one, losses = pretrained(place)
        state = one.state() | {f"model.{name}": tensor for name, tensor in one.model.state_dict().items()}
        if place.is_main:
            torch.save({"losses": losses, "state": state, "measures": one.measures}, Path(sys.argv[1]))
