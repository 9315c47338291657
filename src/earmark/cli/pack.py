"""`earmark pack`: the clips of a corpus in a few large files."""

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from earmark.cli.words import Assignments, tell

if TYPE_CHECKING:
    from earmark.data.packs.index import Index
    from earmark.data.table import Table


def pack(
    table: Path | None = None,
    out: Path | None = None,
    /,
    *,
    to: Literal["parquet", "webdataset"] = "parquet",
    encode: Literal["as-is", "flac", "opus", "int16"] = "as-is",
    rate: int | None = None,
    shard_size: float = 500.0,
    workers: int | None = None,
    corpus: str | None = None,
    set_: Assignments = None,
    check: Path | None = None,
) -> int:
    """Pack clips into a few large files, from which training and inference read them.

    Labels, splits, folds and names go with them.  After a kill the same command goes on.  Clips that cannot
    be read are told of, and listed in the pack's index; the exit status is 1 if there are some.

    Args:
        table: a table of clips, a folder of recordings, or another pack (Parquet, tar, PaSST's HDF5).
        out: a folder for the pack.
        to: Parquet shards, of which any clip can be read by itself; or WebDataset's tar files.
        encode: keep files as they are; or encode them anew, in mono.
        rate: sample rate in Hz of what is encoded anew; that of each file if not given.
        shard_size: megabytes of the files that go into one shard.
        workers: processes that write shards; chosen by the machine if not given.
        corpus: what the table is, where it is a known corpus such as esc50.
        set_: how a table is to be read, such as --set corpus.columns.label=species.
        check: a pack; say what is wrong with it, by the digests in its index, and do nothing else.
    """
    from earmark.cli.terminal import Watch
    from earmark.config import ConfigError
    from earmark.data.packs.rows import Packing
    from earmark.data.packs.sources import rows_of
    from earmark.data.packs.writing import write_pack
    from earmark.inference.settings import cores

    if check is not None:
        return checked(check)
    if table is None or out is None:
        raise ConfigError("packing needs a table and a folder for the pack: earmark pack TABLE OUT")
    if workers is not None and not 1 <= workers <= 256:
        raise ConfigError(f"--workers {workers}; give 1 to 256")
    packing = Packing(to=to, encode=encode, rate=rate, shard_mb=shard_size)
    found = rows_of(table, corpus, table_of(set_ or []))
    for note in found.notes:
        tell(note)
    with Watch() as watch:
        watch.expect(lambda: len(found.rows))
        index = write_pack(
            found.rows,
            out,
            packing,
            workers or min(8, cores()),
            str(table),
            lambda done, total: watch.step(0.0),
        )
    return told(index, out)


def table_of(assignments: list[str]) -> "Table":
    """How a table is to be read, by `--set corpus.NAME=VALUE`."""
    from earmark.config import override
    from earmark.data.table import Table

    return override(Table(), [one.strip().removeprefix("corpus.") for one in assignments])


def told(index: "Index", out: Path) -> int:
    """Say what was packed and what was not; the exit status."""
    from earmark.audio import displayable

    for one in index.unreadable:
        tell(one.reason)
    if index.loud:
        tell(f"{index.loud} clips are louder than full scale and kept as 32-bit float, not clipped")
    size = sum(shard.bytes for shard in index.shards) / 1e6
    shards = f"{len(index.shards)} file{'s' * (len(index.shards) != 1)}"
    tell(f"{index.clips} clips are packed in {displayable(out)}: {shards}, {size:.1f} MB")
    if index.unreadable:
        tell(f"{len(index.unreadable)} clips cannot be read and are not in it")
    return 1 if index.unreadable else 0


def checked(place: Path) -> int:
    """Say what is wrong with a pack; the exit status."""
    from earmark.audio import displayable
    from earmark.data.packs.checking import check_pack

    found = check_pack(place)
    for sentence in found.wrong:
        tell(sentence)
    if not found.wrong:
        tell(
            f"{displayable(place)} is whole: {found.clips} clips in {found.shards} files are what was packed"
        )
    return 1 if found.wrong else 0
