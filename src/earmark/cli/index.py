"""`earmark index`: embeddings that can be searched, however many."""

from pathlib import Path


def index(embeddings: list[Path], /, *, out: str) -> int:
    """Put embeddings into an index, or add to one; rows that are there already are left out.

    From ten thousand rows on the vectors are sorted into cells, and the share of the ten nearest that is
    found so is measured against looking at every vector.

    Args:
        embeddings: files that `earmark embed` wrote, all by the same model and settings.
        out: folder of the index, or its address in object storage, such as s3://bucket/sounds.
    """
    from earmark.cli.evaluate import plain_console
    from earmark.search.index import Index
    from earmark.search.stored import read_stored

    console, kept = plain_console(), Index(out)
    for path in embeddings:
        stored = read_stored(path)
        added = kept.add(stored)
        console.out(f"{path}: {added} rows added, {len(stored.paths) - added} were there")
    kept.build()
    console.out(f"{out}: {kept.rows} rows of {kept.dim} numbers, version {kept.version}")
    if kept.indexed:
        found = kept.recall()
        console.out(f"recall@10 {found.share:.3f} against every vector, over {found.queries} of them")
    return 0
