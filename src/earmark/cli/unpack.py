"""`earmark unpack`: the clips of a pack as files again."""

from pathlib import Path

from earmark.cli.words import tell


def unpack(pack: Path, out: Path, /) -> int:
    """Write the clips of a pack as files by their names, and a table of them, clips.csv.

    Files that were packed as they are come out byte for byte.  Clips that cannot be read are told of; the
    exit status is 1 if there are some.

    Args:
        pack: a folder of shards, or one file of them; here or at an address.
        out: a folder for the files.
    """
    from earmark.audio import displayable
    from earmark.cli.terminal import Watch
    from earmark.data.packs.unpacking import TABLE, unpack_pack

    with Watch() as watch:
        found = unpack_pack(pack, out, lambda: watch.step(0.0))
    for sentence in found.unreadable:
        tell(sentence)
    tell(f"{found.clips} clips are in {displayable(out)}, and listed in {TABLE} there")
    return 1 if found.unreadable else 0
