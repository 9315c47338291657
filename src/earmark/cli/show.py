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
        model: a name, a checkpoint file, or the folder of a training run.
    """
    from earmark.models.checkpoint import read_header
    from earmark.models.zoo import resolve

    header = read_header(resolve(model))
    config = header.config.to_dict()
    labels = config.pop("labels")
    console = Console(markup=False, highlight=False, emoji=False)
    numbers = sum(math.prod(shape) for shape in header.shapes.values())
    console.print(_tree(model, {**config, "parameters": f"{numbers:,}"}))
    console.print(_tree("provenance", header.provenance))
    rule = "one of them holds" if labels["exclusive"] else "several may hold"
    console.print(f"{len(labels['names'])} labels, {rule}:")
    console.print(_columns(labels["names"]))
    return 0


def _tree(name: str, values: dict[str, Any]) -> Tree:
    tree = Tree(Text(one_line(name), style="bold"))
    for key, value in values.items():
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
