"""Published and shipped training runs.  A new one is a constant in its corpus's file, and a line at its
end."""

from earmark.recipes import (
    audioset_ast,
    audioset_done_right,
    audioset_passt,
    builtin,
    dbert,
    esc10,
    esc50,
    esc50_minimal,
    fsd50k,
    masked,
    openmic,
    psla,
    speech_commands,
    statistics,
)
from earmark.recipes.named import Named

NAMED: dict[str, Named] = (
    {"builtin": Named(builtin.BUILTIN)}
    | audioset_passt.RECIPES
    | audioset_ast.RECIPES
    | audioset_done_right.RECIPES
    | psla.RECIPES
    | fsd50k.RECIPES
    | openmic.RECIPES
    | esc50.RECIPES
    | esc50_minimal.RECIPES
    | esc10.RECIPES
    | statistics.RECIPES
    | speech_commands.RECIPES
)
"""Every recipe by name, with what its authors say of it."""

RECIPES = {name: named.recipe for name, named in NAMED.items()}
"""Every recipe by name."""

PRETRAINING = dbert.PRETRAINING | masked.PRETRAINING
"""Every recipe of self-supervised pretraining by name."""

__all__ = ["NAMED", "PRETRAINING", "RECIPES", "Named"]
