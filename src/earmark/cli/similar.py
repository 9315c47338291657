"""`earmark similar`: which of many recordings sound like this one?"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from earmark.cli.words import Flag, tell

if TYPE_CHECKING:
    from earmark.search.asking import Asker


def similar(
    embeddings: Path,
    queries: list[str],
    /,
    *,
    top: int = 10,
    model: str | None = None,
    json_: Annotated[bool, Flag, Parameter(name="--json")] = False,
    device: str = "cpu",
) -> int:
    """Find the clips whose embeddings are nearest to a sound's, by the cosine.

    Every vector is looked at.  A sound that is stored itself is not heard again, and not its own neighbor;
    any other is heard by the model and the settings that the embeddings say they are from.

    Args:
        embeddings: a file that `earmark embed` wrote: .parquet, .npz or .safetensors.
        queries: sounds, stored ones by their path there, or any others.
        top: neighbors of each.
        model: the model that made the embeddings, where they do not say it or it has moved.
        json_: one JSON row for each neighbor, for programs.
        device: where the model computes, such as cuda.
    """
    from earmark.search.asking import Asker
    from earmark.search.shelf import FileShelf
    from earmark.search.stored import read_stored

    return answered(Asker(FileShelf(read_stored(embeddings)), model, device), queries, top, json_)


def answered(asker: "Asker", queries: list[str], top: int, as_json: bool) -> int:
    """Print the neighbors of each query; the exit status."""
    from earmark.audio import AudioError
    from earmark.cli.evaluate import plain_console
    from earmark.config import ConfigError

    if top < 1:
        raise ConfigError(f"--top is {top}; give 1 or more")
    console, failed = plain_console(), 0
    for query in queries:
        try:
            found = asker.like(query, top)
        except AudioError as error:
            tell(str(error))
            failed += 1
            continue
        if as_json:
            for one in found:
                console.out(json.dumps({"query": query, **one._asdict()}, ensure_ascii=False))
            continue
        console.out(query)
        for one in found:
            console.out(f"  {one.similarity:6.3f}  {one.start:9.2f} - {one.end:9.2f}  {one.path}")
    return 1 if failed else 0
