"""How models learn: a recipe says what is computed, the loop computes it."""

from earmark.training.augment import Augment, Mixup, WaveMixup
from earmark.training.averaging import EMA, SWA, EpochMean
from earmark.training.optimization import Adam, AdamW
from earmark.training.recipe import Recipe
from earmark.training.sampling import Balanced, Shuffled
from earmark.training.schedule import Constant, Cosine, CosineCycle, ExpWarmupLinear, Linear, Steps
from earmark.training.settings import Settings, TrainingError
from earmark.training.stopping import StoppedError
from earmark.training.supervised import train

__all__ = [
    "EMA",
    "SWA",
    "Adam",
    "AdamW",
    "Augment",
    "Balanced",
    "Constant",
    "Cosine",
    "CosineCycle",
    "EpochMean",
    "ExpWarmupLinear",
    "Linear",
    "Mixup",
    "Recipe",
    "Settings",
    "Shuffled",
    "Steps",
    "StoppedError",
    "TrainingError",
    "WaveMixup",
    "train",
]
