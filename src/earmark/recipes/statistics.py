"""A linear classifier on statistics of log mel and cepstra: what ESC-10 and ESC-50 give without a net.

Ours; about a minute of one core.  It errs on other clips than a net does: `earmark crossval esc50-cnn
esc50-statistics` averages the logits of both.
"""

from earmark.encoders import ClipStatistics
from earmark.models import LinearHead
from earmark.recipes.esc10 import CNN as ESC10_CNN
from earmark.recipes.esc50 import CNN as ESC50_CNN
from earmark.recipes.named import Named
from earmark.training import EMA, AdamW, Augment, Recipe


def _statistics(recipe: Recipe, epochs: int) -> Recipe:
    """The same corpus and front end, in plain logarithms of power; neither mixed nor masked nor cut short."""
    model = recipe.model.replace(
        frontend=recipe.model.frontend.replace(offset=0.0, scale=1.0),
        encoder=ClipStatistics(),
        head=LinearHead(norm=False),
    )
    return Recipe(
        model=model,
        corpus=recipe.corpus,
        epochs=epochs,
        batch_size=32,
        augment=Augment(crop=True, gain_db=6.0, equalizer_db=6.0, warp=0.06),
        optimizer=AdamW(lr=3e-3, weight_decay=0.1),
        averaging=EMA(decay=0.98),
    )


ESC10 = _statistics(ESC10_CNN, epochs=30)
"""On the features of `esc10-cnn`."""

ESC50 = _statistics(ESC50_CNN, epochs=12)
"""On the features of `esc50-cnn`."""

RECIPES = {"esc10-statistics": Named(ESC10), "esc50-statistics": Named(ESC50)}
