"""What is held out must be new: no sound on two sides, and no label that only the held-out side has."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from earmark.data.tables.entries import Entries
from earmark.data.tables.errors import Mistakes
from earmark.data.tables.placed import Side, TableClip, described, side_name


def note_leaks(
    clips: Iterable[TableClip], files: Sequence[str], mistakes: Mistakes, notes: list[str]
) -> None:
    """Note stretches of one file that overlap across sides; tell of files that are on several.

    Args:
        clips: all of the table.
        files: names of the files.
        mistakes: where overlaps are noted.
        notes: where a sentence about shared files is added.
    """
    by_file: defaultdict[tuple[int, int | None], list[TableClip]] = defaultdict(list)
    first: dict[tuple[int, int | None], TableClip] = {}
    for clip in clips:
        sound = (clip.file, clip.row)
        if first.setdefault(sound, clip) is not clip:
            by_file[sound].append(clip)
    shared = 0
    for sound, others in by_file.items():
        group = sorted((first[sound], *others), key=lambda clip: (clip.start, clip.line))
        if len({clip.side for clip in group} - {None}) > 1:
            shared += not _note_overlaps(group, files, mistakes)
    if shared:
        notes.append(
            f"{shared} files have clips on several sides of the split; they do not overlap, but what is held "
            "out sounds like what is learned from, and scores may be too good"
        )


def _note_overlaps(group: Sequence[TableClip], files: Sequence[str], mistakes: Mistakes) -> bool:
    reach: dict[Side, TableClip] = {}  # the clip of each side that ends last so far
    found = False
    for clip in group:
        for side, other in reach.items():
            if side != clip.side and clip.side is not None and clip.start < other.end:
                found = True
                early, late = sorted((clip, other), key=lambda one: one.line)
                mistakes.add(
                    "overlap",
                    late.line,
                    f"{described(files[late.file], late.start, late.end)} is in {side_name(late.side)} and "
                    f"overlaps with {mistakes.unit} {early.line}, which is in {side_name(early.side)}; what "
                    "is held out must not be learned from: put both on one side",
                )
        if clip.side is not None and (clip.side not in reach or clip.end > reach[clip.side].end):
            reach[clip.side] = clip
    return found


def note_unlearnt(clips: Sequence[TableClip], entries: Entries, mistakes: Mistakes) -> None:
    """Note labels of which nothing can be learned, as all their clips are on a side that is held out.

    Args:
        clips: all of the table.
        entries: its rows; labels of rows that could not be placed count as learned from.
        mistakes: where they are noted.
    """
    sides = {clip.side for clip in clips}
    if "train" not in sides and _n_folds(sides) < 2:
        return  # a table of held-out clips alone
    where: defaultdict[str, set[Side]] = defaultdict(set)
    lines: dict[str, int] = {}
    for clip in clips:
        for name in clip.labels:
            where[name].add(clip.side)
            lines.setdefault(name, clip.line)
    astray = {entry.labels for entry in entries.astray}
    for name, its in where.items():
        if its & {"train", None} or _n_folds(its) > 1 or name in astray:
            continue
        there = " and ".join(sorted(side_name(side) for side in its))
        why = "so when it is held out none is left to learn from" if _n_folds(its) else "and never in train"
        mistakes.add(
            "unlearnt",
            lines[name],
            f"the label {name!r} occurs only in {there}, {why}; move a clip of it, or leave the label out",
        )


def note_groups(clips: Iterable[TableClip], notes: list[str]) -> None:
    """Tell of groups, such as speakers, that are on several sides of the table's own split."""
    sides: defaultdict[str, set[Side]] = defaultdict(set)
    for clip in clips:
        if clip.group and clip.side is not None:
            sides[clip.group].add(clip.side)
    count = sum(len(its) > 1 for its in sides.values())
    if count:
        notes.append(f"{count} of {len(sides)} groups are on several sides of the table's own split")


def _n_folds(sides: Iterable[Side]) -> int:
    return sum(isinstance(side, int) for side in sides)
