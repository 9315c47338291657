"""`earmark show`: describe a model."""

import json
import math
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from earmark.audio.errors import one_line


def show(model: str = "builtin", /) -> int:
    """Describe a model: how it hears, what it calls things, and where it came from.

    Args:
        model: a name, a checkpoint file, the folder of a training run, or a file of published weights.
    """
    from earmark.models.catalog import BY_NAME, ENSEMBLE_BY_NAME
    from earmark.models.conversion import is_converted
    from earmark.models.zoo import cache_folder

    console = Console(markup=False, highlight=False, emoji=False)
    if model in BY_NAME and not is_converted(BY_NAME[model], cache_folder()):
        console.print(_tree(model, BY_NAME[model].to_dict()))
        console.print("It is not here yet, and will be fetched when it is used.")
        return 0
    if model in ENSEMBLE_BY_NAME:
        console.print(_tree(model, ENSEMBLE_BY_NAME[model].to_dict()))
        console.print("The mean of the logits of its members.")
        return 0
    config, parameters, provenance = _described(model)
    labels = config.pop("labels")
    console.print(_tree(model, {**config, "parameters": f"{parameters:,}"}))
    console.print(_tree("provenance", provenance))
    if not labels["names"]:
        console.print("no labels: it gives embeddings")
        return 0
    rule = "one of them holds" if labels["exclusive"] else "several may hold"
    console.print(f"{len(labels['names'])} labels, {rule}:")
    console.print(_columns(labels["names"]))
    return 0


def _described(model: str) -> tuple[dict[str, Any], int, dict[str, Any]]:
    """Description, number of parameters and provenance; of published weights, as they would be imported."""
    from earmark.models.checkpoint import is_ours, read_header
    from earmark.models.recognized import recognize
    from earmark.models.zoo import resolve

    path = resolve(model)
    if is_ours(path):
        header = read_header(path)
        numbers = sum(math.prod(shape) for shape in header.shapes.values())
        digest = {"digest": header.digest} if header.digest else {}
        return header.config.to_dict(), numbers, {**header.provenance, **digest}
    found = recognize(path)
    return found.tagger.config.to_dict(), found.tagger.count_parameters(), {"recognized": found.family}


def _tree(name: str, values: dict[str, Any]) -> Tree:
    tree = Tree(Text(one_line(name), style="bold"))
    for key, value in sorted(values.items(), key=lambda pair: pair[0] != "kind"):  # what it is comes first
        if isinstance(value, dict):
            tree.add(_tree(key, value))
        else:
            words = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            tree.add(Text(one_line(f"{key}: {words}")))
    return tree


def _columns(names: list[str], width: int = 3) -> Table:
    table = Table.grid(padding=(0, 3))
    for start in range(0, len(names), width):
        table.add_row(*(Text("  " + one_line(name)) for name in names[start : start + width]))
    return table
