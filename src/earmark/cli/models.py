"""`earmark models`: the models that are known by name."""

import json

from rich.console import Console
from rich.table import Table


def models(*, json_: bool = False) -> int:
    """List the models that `--model` knows by name.

    Args:
        json_: one JSON list, for programs.
    """
    from earmark.models.catalog import PUBLISHED

    console = Console(markup=False, highlight=False, emoji=False)
    if json_:
        console.out(json.dumps([entry.to_dict() for entry in PUBLISHED], indent=1), highlight=False)
        return 0
    table = Table(box=None, pad_edge=False)
    for heading in ("name", "classes", "seconds", "score", "license"):
        table.add_column(heading, no_wrap=True)
    for entry in PUBLISHED:
        row = (
            str(entry.classes),
            f"{entry.clip_seconds:g}",
            f"{entry.metric} {entry.score:g}",
            entry.license,
        )
        table.add_row(entry.name, *row)
    console.print(table)
    console.print("Fetched once at first use; the scores are the authors' own.  `builtin` needs no network.")
    return 0
