"""Which column of a table holds what: by the names that people give them."""

import re
from collections.abc import Iterable, Sequence

from pydantic import Field

from earmark.config import Frozen, did_you_mean
from earmark.data.tables.errors import Mistakes

NAMES = {
    "path": (
        "path file filename file_name filepath file_path audio audio_path audio_file audio_filepath "
        "audio_filename wav wav_path wav_file wavfile wav_filename relative_path rel_path sound_file "
        "sound_path clip clip_path recording begin_path begin_file slice_file_name fname source_file "
        "uri name"
    ),
    "start": (
        "start onset begin start_time begin_time onset_time time_start start_sec begin_sec clip_start "
        "segment_start event_onset event_start start_timestamp tmin t_start from"
    ),
    "end": (
        "end stop end_time stop_time offset_time time_end finish end_sec stop_sec clip_end segment_end "
        "event_offset event_end end_timestamp tmax t_end to until"
    ),
    "duration": "duration dur delta_time",
    "label": (
        "label labels class classes category categories tag tags class_name class_names label_name "
        "label_names class_label class_labels display_name display_names event_label event_labels "
        "scene_label annotation annotations species common_name scientific_name primary_label "
        "positive_labels event events emotion instrument instruments genre word keyword command target "
        "targets class_id y"
    ),
    "unknown": "unknown unknown_labels",
    "split": "split subset partition set data_split dataset_split usage",
    "fold": "fold fold_id fold_number fold_index folds cv_fold kfold k_fold",
    "row": "row",
    "group": "group group_id source_id src_file recording_id speaker speaker_id client_id",
}
"""What each role is called, the surest name first; case, spaces, dashes and `(s)` do not count."""

_KNOWN = {role: tuple(names.split()) for role, names in NAMES.items()}
_ALL = {name for names in _KNOWN.values() for name in names} | {"offset"}
_WHERE = {name for role in ("path", "start", "end", "duration", "row") for name in _KNOWN[role]} | {"offset"}
OR_BY_SET = ", or give its name by --set corpus.columns."
"""Said where a command has such an option."""
_SECONDS = re.compile(r"_(?:in_)?(?:s|secs?|seconds?)$")
_OTHER_UNITS = re.compile(r"_(?:in_)?(ms|msecs?|milliseconds?|samples?|frames?|minutes?|hours?)$")


class Columns(Frozen):
    """The names of a table's columns by what they hold; None to find it, empty for no such column.

    Attributes:
        path: the files.
        start: where a clip begins in its file, in seconds.
        end: where it ends.
        duration: how long it is; counted from its start, where there is no column of ends.
        label: what is heard: one name or several.
        unknown: names of which nobody knows whether they are heard.
        split: `train`, `validation` or `test`.
        fold: a whole number.
        row: the place in a pack, where the file is one (HDF5).
        group: what must stay together when clips are held out, such as the speaker or the recording.
    """

    path: str | None = Field(default=None, max_length=1000)
    start: str | None = Field(default=None, max_length=1000)
    end: str | None = Field(default=None, max_length=1000)
    duration: str | None = Field(default=None, max_length=1000)
    label: str | None = Field(default=None, max_length=1000)
    unknown: str | None = Field(default=None, max_length=1000)
    split: str | None = Field(default=None, max_length=1000)
    fold: str | None = Field(default=None, max_length=1000)
    row: str | None = Field(default=None, max_length=1000)
    group: str | None = Field(default=None, max_length=1000)


def plain(name: str) -> str:
    """A column's name without case, punctuation and the unit of seconds.

    Example:
        >>> plain("Begin Time (s)")
        'begin_time'
    """
    return _SECONDS.sub("", re.sub(r"[^a-z0-9]+", "_", name.casefold()).strip("_"))


def names_of(role: str) -> tuple[str, ...]:
    """What a column of some role is called; see `NAMES`."""
    return _KNOWN[role]


def says_where(name: str) -> bool:
    """Whether a column of this name is taken for a place: a file, a row of one, or seconds in it.

    Example:
        >>> says_where("File Path"), says_where("start_ms"), says_where("label")
        (True, True, False)
    """
    return _OTHER_UNITS.sub("", plain(name)) in _WHERE


def count_known(header: Iterable[str]) -> int:
    """How many of some names are known as columns."""
    return sum(plain(name) in _ALL for name in header)


def find_columns(
    header: Sequence[str], given: Columns, mistakes: Mistakes, needed: Sequence[str] = ("path", "label")
) -> Columns:
    """Which column holds what.

    Args:
        header: the names in the table.
        given: those that the caller names; the others are found by their usual names.
        mistakes: where missing, doubtful and mistyped names are noted.
        needed: the roles for which there must be a column.

    Returns:
        A name or an empty text for each role.

    Example:
        >>> from pathlib import Path
        >>> find_columns(["File", "Species"], Columns(), Mistakes(Path("a.csv"))).label
        'Species'
    """
    found: dict[str, str] = {}
    for role in Columns.model_fields:
        name = getattr(given, role)
        found[role] = _guessed(role, header) if name is None else name
        if name and name not in header:
            hint = did_you_mean(name, header, f"the columns are {listed(header)}")
            mistakes.add("column", 0, f"there is no column {name!r} for corpus.columns.{role}; {hint}")
    _place_offset(found, header, given)
    if given.label is None and {"label", "labels"} <= set(header):
        mistakes.add(
            "column",
            0,
            "both the columns 'label' and 'labels' may hold the labels; say which by --set "
            "corpus.columns.label=NAME",
        )
    _check_twice(found, header, mistakes)
    _check_typos(found, header, given, mistakes)
    for role, what in (("path", "the files"), ("label", "the labels")):
        if role in needed and not found[role]:
            mistakes.add("column", 0, _missing(role, what, header))
    return Columns(**found)


def listed(names: Iterable[str]) -> str:
    """Names for a sentence, at most ten of them.

    Example:
        >>> listed(["a", "b"])
        "'a', 'b'"
    """
    names = list(names)
    return ", ".join(repr(name) for name in names[:10]) + (", ..." if len(names) > 10 else "")


def _guessed(role: str, header: Sequence[str]) -> str:
    by_name = {plain(name): name for name in reversed(header)}
    return next((by_name[name] for name in _KNOWN[role] if name in by_name), "")


def _place_offset(found: dict[str, str], header: Sequence[str], given: Columns) -> None:
    """`offset` is an end beside an onset, and a start beside a duration."""
    name = next((name for name in header if plain(name) == "offset"), "")
    if not found["start"] and given.start is None:
        found["start"] = name
    elif name and not found["end"] and given.end is None and found["start"] != name:
        found["end"] = name
    if not found["start"] or found["end"]:  # without a start it is the length of the file
        found["duration"] = given.duration or ""


def _check_twice(found: dict[str, str], header: Sequence[str], mistakes: Mistakes) -> None:
    for role, name in found.items():
        if name and list(header).count(name) > 1:
            mistakes.add("column", 0, f"the column {name!r} stands twice in the header; rename one of them")
        unit = _OTHER_UNITS.search(plain(name)) if role in ("start", "end", "duration") else None
        if unit:
            mistakes.add("column", 0, f"the column {name!r} is not in seconds; times must be")


def _check_typos(found: dict[str, str], header: Sequence[str], given: Columns, mistakes: Mistakes) -> None:
    """A mistyped `split` would be passed over without a word, and clips be held out at random."""
    for name in header:
        bare = plain(name)
        unit = _OTHER_UNITS.search(bare)
        for role in ("start", "end", "split", "fold", "group"):
            if found[role] or getattr(given, role) is not None or bare in _ALL:
                continue
            if unit and bare[: unit.start()] in _KNOWN[role]:
                mistakes.add(
                    "column", 0, f"the column {name!r} is in {unit[1]}; give seconds, in a column {role!r}"
                )
            elif _is_typo(bare, role):
                mistakes.add(
                    "column",
                    0,
                    f"the column {name!r} is not known; did you mean {role!r}? Rename it, or pass it over by "
                    f"--set corpus.columns.{role}= if it is something else",
                )


def _is_typo(name: str, word: str) -> bool:
    """Whether two letters of a word are swapped, or, in a longer word, one is missing or too many."""
    if len(name) == len(word):
        swapped = (word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in range(len(word) - 1))
        return name != word and name in swapped
    longer, shorter = (name, word) if len(name) > len(word) else (word, name)
    return len(word) > 4 and shorter in (longer[:i] + longer[i + 1 :] for i in range(len(longer)))


def _missing(role: str, what: str, header: Sequence[str]) -> str:
    hints = {name: did_you_mean(plain(name), _KNOWN[role], "") for name in header}
    near = next((name for name, hint in hints.items() if hint), None)
    remedy = f"rename {near!r} to {role!r}" if near else f"name it {role!r}"
    other = "the labels of one-hot columns are not guessed; " if role == "label" and len(header) > 10 else ""
    return (
        f"there is no column of {what}; the columns are {listed(header)}; {other}{remedy}"
        f"{OR_BY_SET}{role}=NAME"
    )
