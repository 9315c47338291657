"""A dBERT small enough for tests, and eight kinds of sound that it can learn to tell apart."""

from typing import NamedTuple

import numpy as np
import torch

from earmark.encoders.clusters import Clusters
from earmark.encoders.dbert import DBERT
from earmark.frontends import RawWaveform
from earmark.models import Tagger, TaggerConfig
from earmark.training.distributing.world import World
from earmark.training.optimizing.optimizer import AdamW, train_mode
from earmark.training.pretraining import (
    ClusterGuessing,
    Crops,
    PretrainLearner,
    Seeding,
    Student,
    guesser_of,
    student_optimizer,
)
from earmark.training.pretraining.terms import Precision

RATE = 8000
LENGTH = 2400
ALONE = World(0, 1, torch.device("cpu"))
ENCODER = DBERT(
    convs=((24, 10, 5), (24, 8, 4), (24, 4, 2)),
    width=32,
    depth=1,
    heads=2,
    ff_multiple=2,
    position_kernel=8,
    position_groups=4,
    summary_dim=16,
    clusters=Clusters(summary=(16,), conv=(16,), output=(16,)),
)
SEEDING = Seeding(batches=6, clips_per_cluster=0, frames=2000)
OBJECTIVE = ClusterGuessing(seeding=SEEDING)


class Terms(NamedTuple):
    objective: ClusterGuessing = OBJECTIVE
    seed: int = 0
    precision: Precision = "fp32"
    clip_norm: float | None = 1.0


def learner(
    terms: Terms | None = None, config: DBERT = ENCODER, lr: float = 1e-3, world: World = ALONE
) -> PretrainLearner:
    terms = terms or Terms()
    torch.manual_seed(terms.seed)
    model = Tagger(TaggerConfig(frontend=RawWaveform(sample_rate=RATE), encoder=config, head=None))
    train_mode(model)
    guesser = guesser_of(model, terms.objective)
    optimizer = student_optimizer(guesser, AdamW(lr=lr, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01))
    called = torch.nn.parallel.DistributedDataParallel(guesser) if world.size > 1 else guesser
    return PretrainLearner(terms, model, Student(guesser, called, optimizer), world)


def crops(number: int, clips: int = 8, length: int = LENGTH, shortest: float = 1.0) -> Crops:
    """A batch; its clips are cut off, and end in silence, from a share of the length on."""
    draws = np.random.default_rng((7, number))
    lengths = np.full(clips, length)
    waveform = np.stack([sound(int(draws.integers(8)), length, draws) for _ in range(clips)])
    if shortest < 1:
        lengths = (length * draws.uniform(shortest, 1.0, clips)).astype(np.int64)
        waveform *= np.arange(length) < lengths[:, None]
    places = list(range(number * clips, (number + 1) * clips))
    return Crops(
        torch.from_numpy(waveform.astype(np.float32)),
        torch.from_numpy(lengths),
        list(range(clips)),
        places,
        clips,
        {},
    )


def sound(kind: int, length: int, draws: np.random.Generator) -> np.ndarray:
    time, pitch = np.arange(length) / RATE, 200 * 2 ** draws.uniform()
    phase = 2 * np.pi * (pitch * time + draws.uniform())
    noise, beat = draws.standard_normal(length), np.sin(2 * np.pi * 12 * time) > 0
    wave = (
        np.sin(phase),
        np.sign(np.sin(phase)),
        noise,
        np.sin(phase + 2000 * time**2),
        noise * beat,
        np.sin(4 * phase) * beat,
        np.cumsum(noise),
        sum(np.sin(k * phase) / k for k in range(1, 8)),
    )[kind]
    return 0.3 * wave / np.abs(wave).max() * draws.uniform(0.3, 1) + 0.003 * noise
