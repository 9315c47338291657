"""Self-supervised starts for spectrogram transformers: masked patches, on any folder of sounds.

The encoder is that of `esc10-passt-tiny`, which begins with what comes out by `--set init=RUN`.
"""

from earmark.labels import LabelSet
from earmark.recipes.esc10 import PASST_TINY
from earmark.training.optimizing.optimizer import AdamW
from earmark.training.optimizing.schedule import Cosine
from earmark.training.pretraining.patches.description import MaskedPatches, PatchClusters
from earmark.training.pretraining.recipe import PretrainRecipe

MASKED = PretrainRecipe(
    model=PASST_TINY.model.replace(labels=LabelSet(), head=None),
    objective=MaskedPatches(block=(1, 3), decoder_dim=64, decoder_depth=1),
    epochs=40,
    batch_size=32,
    crop_seconds=5.0,
    jitter=0.0,
    optimizer=AdamW(lr=1e-3, betas=(0.9, 0.95), weight_decay=0.05),
    schedule=Cosine(),
)
"""What hidden patches hold, each standardized by itself."""

CLUSTERS = MASKED.replace(objective=MASKED.objective.replace(clusters=PatchClusters(), standardize="clip"))
"""Which of 128 clusters they belong to; how loud a patch is among those of its clip counts there."""

PRETRAINING = {"passt-tiny-masked": MASKED, "passt-tiny-masked-clusters": CLUSTERS}
