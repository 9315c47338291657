"""How models learn: a recipe says what is computed, the loop computes it."""

from earmark.training.recipe import EMA, AdamW, Augment, Cosine, Mixup, Recipe
from earmark.training.supervised import train

__all__ = ["EMA", "AdamW", "Augment", "Cosine", "Mixup", "Recipe", "train"]
