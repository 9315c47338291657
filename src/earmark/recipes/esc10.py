"""ESC-10 from scratch: ten classes, 320 training clips a fold.  Rows of RESULTS.md."""

from earmark.data import ESC50
from earmark.encoders import PaSST, Patchout, ResidualCNN
from earmark.frontends import LogMel
from earmark.models import TaggerConfig
from earmark.models.heads import PoolingHead
from earmark.recipes import dbert
from earmark.recipes.named import Named
from earmark.training import EMA, AdamW, Augment, Mixup, Recipe
from earmark.training.augmentation.description import WaveMixup

FRONTEND = LogMel(
    n_mels=64, win_length=1024, hop_length=640, fmin=40.0, fmax=15500.0, fmin_jitter=1, fmax_jitter=1
)
CORPUS = ESC50(esc10=True)
AUGMENT = Augment(
    crop=True,
    gain_db=6.0,
    equalizer_db=6.0,
    stretch=0.25,
    warp=0.06,
    mixup=Mixup(alpha=0.3, share=0.7),
    freq_mask=12,
    time_mask=35,
    n_masks=2,
)

CNN = Recipe(
    model=TaggerConfig(
        frontend=FRONTEND, encoder=ResidualCNN(), labels=CORPUS.labels, clip_seconds=5.0, padding="loop"
    ),
    corpus=CORPUS,
    epochs=60,
    batch_size=32,
    augment=AUGMENT,
    optimizer=AdamW(lr=2e-3, weight_decay=1e-2),
    averaging=EMA(decay=0.98),
    label_smoothing=0.1,
)
"""The built-in model's encoder on ESC-10 alone."""

PASST_TINY = CNN.replace(
    model=TaggerConfig(
        frontend=FRONTEND,
        encoder=PaSST(
            n_bands=64, max_frames=251, dim=128, depth=4, heads=4, stride=(16, 10), patchout=Patchout(time=6)
        ),
        labels=CORPUS.labels,
        clip_seconds=5.0,
        padding="loop",
    ),
    epochs=60,
    augment=AUGMENT.replace(mixup=Mixup(alpha=0.3, share=0.3), freq_mask=8, time_mask=20, n_masks=1),
    optimizer=AdamW(lr=1e-3, weight_decay=5e-2),
)
"""A PaSST of 0.8 M parameters; without pretraining transformers lag behind on 320 clips."""

PASST_TINY_WHOLE = PASST_TINY.replace(
    model=PASST_TINY.model.replace(encoder=PASST_TINY.model.encoder.replace(patchout=Patchout()))
)
"""The same without patchout, to be compared with."""


DBERT_TINY = Recipe(
    model=dbert.TINY.model.replace(
        encoder=dbert.TINY.model.encoder.replace(clusters=None),
        head=PoolingHead(pooling="mean"),
        labels=CORPUS.labels,
        padding="loop",
    ),
    corpus=CORPUS,
    epochs=20,
    batch_size=16,
    crop_seconds=2.0,
    augment=Augment(crop=True, gain_db=6.0, wave_mixup=WaveMixup(alpha=0.3, share=0.5)),
    optimizer=AdamW(lr=5e-4, weight_decay=1e-2),
    averaging=EMA(decay=0.98),
    label_smoothing=0.1,
)
"""The network of `dbert-tiny`, from scratch; `--set init=RUN` begins with a pretrained one.

Frames are classified and their probabilities averaged: the summary token learns the least in so short a run.
"""


def _on_esc50(recipe: Recipe) -> Recipe:
    """The same on all of ESC-50: five times the classes and the clips, in a fifth of the epochs."""
    corpus = ESC50()
    return recipe.replace(corpus=corpus, model=recipe.model.replace(labels=corpus.labels), epochs=12)


RECIPES = {
    "esc10-cnn": Named(CNN),
    "esc10-passt-tiny": Named(PASST_TINY),
    "esc10-passt-tiny-whole": Named(PASST_TINY_WHOLE),
    "esc10-dbert-tiny": Named(DBERT_TINY),
    "esc50-passt-tiny": Named(_on_esc50(PASST_TINY)),
    "esc50-passt-tiny-whole": Named(_on_esc50(PASST_TINY_WHOLE)),
}
