"""A recipe with what its authors say of it."""

from typing import NamedTuple

from earmark.training import Recipe


class Named(NamedTuple):
    """A recipe in the list of recipes.

    Attributes:
        recipe: the run.
        published: its authors' own figure for it, with the metric; empty where they give none, or where the
            recipe is ours.
    """

    recipe: Recipe
    published: str = ""
