"""`earmark train`, `earmark recipes`: run a recipe, list them."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table


def train(
    recipe: str,
    /,
    *,
    data: Path,
    out: Path,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    threads: int | None = None,
) -> int:
    """Train a model by a named recipe.

    Args:
        recipe: a name that `earmark recipes` lists.
        data: folder of the corpus.
        out: run folder to make; `earmark tag --model OUT` reads it afterwards.
        set_: changes of the recipe, such as --set corpus.fold=2; may be given several times.
        threads: processor threads; PyTorch's default if not given.
    """
    from earmark.training import train as run

    set_threads(threads)
    run(find_recipe(recipe, set_ or []), data, out, report=print_epoch)
    return 0


def recipes() -> int:
    """List the recipes with what they train on."""
    from earmark.recipes import RECIPES

    table = Table("recipe", "front end", "encoder", "corpus", "epochs")
    for name, recipe in RECIPES.items():
        model = recipe.model
        table.add_row(name, model.frontend.kind, model.encoder.kind, recipe.corpus.kind, str(recipe.epochs))
    Console().print(table)
    return 0


def find_recipe(name: str, assignments: list[str]) -> Any:
    """A recipe by name, with `--set` applied; unknown names are usage errors that suggest the right one."""
    from earmark.config import ConfigError, did_you_mean, override
    from earmark.recipes import RECIPES

    if name not in RECIPES:
        hint = did_you_mean(name, RECIPES, f"there are {', '.join(RECIPES)}")
        raise ConfigError(f"no recipe {name!r}; {hint}")
    return override(RECIPES[name], assignments)


def print_epoch(metrics: dict[str, Any]) -> None:
    """One line on stderr for each epoch."""
    sys.stderr.write(
        f"epoch {metrics['epoch']:4d}  loss {metrics['loss']:.4f}  rate {metrics['lr']:.2e}  "
        f"{metrics['seconds']:.1f} s\n"
    )


def set_threads(threads: int | None) -> None:
    """Bound PyTorch's threads for the whole process."""
    if threads is not None:
        import torch

        torch.set_num_threads(threads)
