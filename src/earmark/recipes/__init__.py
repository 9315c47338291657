"""Published and shipped training runs.  A new recipe is one constant and one line here."""

from earmark.recipes import builtin, esc10

RECIPES = {
    "builtin": builtin.BUILTIN,
    "esc10-cnn": esc10.CNN,
    "esc10-passt-tiny": esc10.PASST_TINY,
}

__all__ = ["RECIPES"]
