"""`earmark recipes`: the training runs that are known by name."""

import json
from typing import Any


def recipes(name: str | None = None, /, *, json_: bool = False) -> int:
    """List the training recipes, or show one.

    Args:
        name: show this one as JSON, whole.
        json_: the list as JSON, for programs.
    """
    from rich.console import Console

    from earmark.cli.choosing import find_pretraining, find_recipe
    from earmark.recipes import NAMED, PRETRAINING

    out = Console(markup=False, highlight=False, emoji=False).out
    if name is not None:
        find = find_pretraining if name in PRETRAINING else find_recipe
        out(json.dumps(find(name, []).to_dict(), indent=1, ensure_ascii=False), highlight=False)
        return 0
    rows = [_row(key, named.recipe, named.published) for key, named in NAMED.items()]
    rows += [_row(key, recipe, "") for key, recipe in PRETRAINING.items()]
    if json_:
        out(json.dumps(rows, indent=1), highlight=False)
        return 0
    lines = [list(rows[0]), *[[str(cell) for cell in row.values()] for row in rows]]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    for line in lines:
        out("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
    out(
        "\nScores are the authors' own, for the run that a recipe repeats; ours are in RESULTS.md.\n"
        "Those on an Unlabeled corpus are run by `earmark pretrain`."
    )
    return 0


def _row(name: str, recipe: Any, published: str) -> dict[str, Any]:
    return {
        "recipe": name,
        "corpus": recipe.corpus.kind,
        "encoder": recipe.model.encoder.kind,
        "epochs": recipe.epochs,
        "published": published,
    }
