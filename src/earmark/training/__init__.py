"""How models learn: a recipe says what is computed, the loop computes it."""

from earmark.training.augmentation.description import Augment, Mixup, WaveMixup
from earmark.training.optimizing.averaging import EMA, SWA, EpochMean
from earmark.training.optimizing.optimizer import Adam, AdamW
from earmark.training.optimizing.schedule import Constant, Cosine, CosineCycle, ExpWarmupLinear, Linear, Steps
from earmark.training.settings import Settings, TrainingError
from earmark.training.stopping import StoppedError
from earmark.training.supervised.front_door import train
from earmark.training.supervised.recipe import Recipe
from earmark.training.supervised.sampling import Balanced, Shuffled
from earmark.training.supervised.shuffle_buffer import Buffered

__all__ = [
    "EMA",
    "SWA",
    "Adam",
    "AdamW",
    "Augment",
    "Balanced",
    "Buffered",
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
