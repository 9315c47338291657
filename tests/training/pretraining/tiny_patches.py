"""Spectrogram transformers small enough for tests, and learners of their masked patches."""

from typing import NamedTuple

import torch
from tiny_dbert import ALONE, RATE

from earmark.encoders import AST, PaSST
from earmark.frontends import LogMel
from earmark.models import Tagger, TaggerConfig
from earmark.training.distributing.world import World
from earmark.training.optimizing.optimizer import AdamW, train_mode
from earmark.training.pretraining import student_optimizer
from earmark.training.pretraining.patches import MaskedPatches, PatchClusters
from earmark.training.pretraining.patches.guesser import patch_guesser
from earmark.training.pretraining.patches.learner import MaskedLearner, Pupil
from earmark.training.pretraining.terms import Precision

FRONTEND = LogMel(
    sample_rate=RATE,
    n_fft=256,
    win_length=256,
    hop_length=80,
    n_mels=16,
    fmin=40.0,
    fmax=3800.0,
    fmin_jitter=5,
    fmax_jitter=100,
)
PASST = PaSST(n_bands=16, max_frames=40, patch=4, stride=(4, 3), dim=16, depth=2, heads=2)
AST_TINY = AST(n_bands=16, max_frames=30, patch=4, stride=(4, 4), dim=16, depth=1, heads=2, dropout=0.2)
CONTENT = MaskedPatches(block=(1, 2), decoder_dim=16, decoder_depth=1, decoder_heads=2)
CLUSTERS = CONTENT.replace(
    clusters=PatchClusters(count=8, batches=2, patches=400, rounds=5), standardize="clip"
)


class Terms(NamedTuple):
    seed: int = 0
    precision: Precision = "fp32"
    clip_norm: float | None = 1.0


def learner(
    objective: MaskedPatches = CONTENT,
    config: PaSST | AST = PASST,
    lr: float = 3e-3,
    world: World = ALONE,
    terms: Terms | None = None,
) -> MaskedLearner:
    terms = terms or Terms()
    torch.manual_seed(terms.seed)
    model = Tagger(TaggerConfig(frontend=FRONTEND, encoder=config, head=None, clip_seconds=0.3))
    train_mode(model)
    guesser = patch_guesser(model, objective)
    optimizer = student_optimizer(guesser, AdamW(lr=lr, weight_decay=0.01))
    called = torch.nn.parallel.DistributedDataParallel(guesser) if world.size > 1 else guesser
    return MaskedLearner(objective, terms, model, Pupil(guesser, called, optimizer), world)


def everything(one: MaskedLearner) -> dict[str, torch.Tensor]:
    weights = {f"model.{name}": t for name, t in one.model.state_dict().items()}
    return {name: tensor.detach().clone() for name, tensor in (weights | one.state()).items()}
