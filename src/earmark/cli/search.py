"""`earmark search`: what in an index sounds like this?"""

from typing import Annotated

from cyclopts import Parameter

from earmark.cli.words import Flag


def search(
    place: str,
    queries: list[str],
    /,
    *,
    top: int = 10,
    where: Annotated[str | None, Parameter(name="--filter")] = None,
    exact: Annotated[bool, Flag] = False,
    model: str | None = None,
    json_: Annotated[bool, Flag, Parameter(name="--json")] = False,
    device: str = "cpu",
) -> int:
    """Find what sounds most like a sound, in an index that `earmark index` made.

    Args:
        place: folder of the index, or its address.
        queries: sounds, indexed ones by their path there, any others, or vectors as .npy files.
        top: neighbors of each.
        where: a condition on path, start and end, in SQL, such as "path LIKE '%/birds/%'".
        exact: look at every vector.
        model: the model that made the embeddings, where they do not say it or it has moved.
        json_: one JSON row for each neighbor, for programs.
        device: where the model computes, such as cuda.
    """
    from earmark.cli.similar import answered
    from earmark.search.asking import Asker
    from earmark.search.index import Asked, Index

    return answered(Asker(Asked(Index(place), where, exact), model, device), queries, top, json_)
