"""PSLA's own runs, on AudioSet and FSD50K.

Source:
    Gong, Chung and Glass, PSLA: Improving Audio Tagging with Pretraining, Sampling, Labeling, and
    Aggregation, arXiv:2102.01243, and the recipes published with its code.

Deviations: see `audioset_ast`; the averages count each epoch once, theirs the first twice; the first
convolution is begun with the sum over the colors of ImageNet's.
"""

from earmark.data import FSD50K, AudioSet
from earmark.encoders import EfficientNet
from earmark.models import TaggerConfig
from earmark.models.heads import AttentionHead
from earmark.models.published.psla import psla_frontend
from earmark.recipes.audioset_ast import FULL as AST_FULL
from earmark.recipes.named import Named
from earmark.training import Adam, EpochMean, Steps
from earmark.training.beginning.image_weights import EFFICIENTNET_B2

FULL = AST_FULL.replace(
    model=TaggerConfig(
        frontend=psla_frontend(10),
        encoder=EfficientNet(b=2),
        head=AttentionHead(),
        labels=AST_FULL.corpus.labels,
        clip_seconds=10.0,
    ),
    init=EFFICIENTNET_B2,
    epochs=30,
    batch_size=100,
    optimizer=Adam(lr=1e-4),
    schedule=Steps(milestones=(10, 15, 20, 25), gamma=0.5),
    averaging=EpochMean(first=16, last=30),
    precision="fp32",
)
"""EfficientNet-b2 with four attentions: mAP .440, the average of its weights .444."""

BALANCED = FULL.replace(
    corpus=AudioSet(subset="balanced"),
    epochs=60,
    optimizer=Adam(lr=1e-3),
    schedule=Steps(milestones=(35, 40, 45, 50, 55), gamma=0.5),
    averaging=EpochMean(first=41, last=60),
)
"""On AudioSet's balanced part; its figure is in the paper alone."""

ON_FSD50K = FULL.replace(
    model=FULL.model.replace(frontend=psla_frontend(30), labels=FSD50K().labels, clip_seconds=30.0),
    corpus=FSD50K(),
    epochs=40,
    batch_size=24,
    optimizer=Adam(lr=5e-4),
    schedule=Steps(milestones=(10, 15, 20, 25, 30, 35), gamma=0.5),
    averaging=EpochMean(first=21, last=40),
)
"""On clips of 30 s of FSD50K: mAP .559, the average of its weights .562."""

RECIPES = {
    "audioset-psla-original": Named(FULL, "mAP .440, .444 averaged"),
    "audioset-balanced-psla": Named(BALANCED),
    "fsd50k-psla": Named(ON_FSD50K, "mAP .559, .562 averaged"),
}
