"""`earmark models`: the models that are known by name."""

import json
from itertools import groupby
from typing import Any
from urllib.parse import urlsplit

from earmark.audio.errors import one_line

HEADINGS = ("name", "classes", "seconds", "score", "size", "sha256", "")


def models(*, json_: bool = False) -> int:
    """List the models that `--model` knows by name.

    Args:
        json_: one JSON list with all that is known, such as addresses and whole digests; for programs.
    """
    from rich.console import Console

    from earmark.models.listing import list_models

    out = Console(markup=False, highlight=False, emoji=False).out
    rows = list_models()
    if json_:
        out(json.dumps(rows, indent=1), highlight=False)
        return 0
    lines = [_line(row) for row in rows]
    widths = [max(len(line[column]) for line in [HEADINGS, *lines]) for column in range(len(HEADINGS))]

    def shown(line: tuple[str, ...]) -> str:
        cells = (cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        return ("  " + "  ".join(cells)).rstrip()

    out(shown(HEADINGS))
    told = zip(rows, lines, strict=True)
    for family, group in groupby(told, key=lambda pair: pair[0]["family"]):
        members = list(group)
        out(f"{family}{_shared([row for row, _ in members])}")
        for _, line in members:
            out(shown(line))
    out("\nOthers are fetched at first use.  Scores are the authors' own.  --json tells addresses, too.")
    return 0


def _line(row: dict[str, Any]) -> tuple[str, ...]:
    """A row's cells; what is not known stays empty."""
    classes, seconds, score, size = (row[name] for name in ("classes", "clip_seconds", "score", "size"))
    return (
        one_line(row["name"]),
        f"{classes or '-'}" if classes is not None else "",
        f"{seconds:g}" if seconds is not None else "",
        f"{row['metric']} {score:g}" if score is not None else "",
        f"{size / 1e6:.1f} MB" if size is not None else "",
        (row["sha256"] or "")[:8],
        "unreadable" if "error" in row else "here" if row["cached"] else "",
    )


def _shared(rows: list[dict[str, Any]]) -> str:
    """Where a family is published and under which license, as far as its members agree."""
    hosts = {urlsplit(row["url"]).hostname for row in rows if row["url"]}
    licenses = sorted({one_line(row["license"]) for row in rows if row["license"]})
    return "".join(f", {text}" for text in (*sorted(filter(None, hosts)), *licenses))
