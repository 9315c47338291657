"""Tasks of whole sounds from corpora with folds or parts."""

import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.data.clips import Clip
from earmark.data.finding import find_corpus
from earmark.data.holding_out import deal
from earmark.data.preparation.hear_tasks.reading import Reader
from earmark.data.preparation.hear_tasks.sketch import Entry, Making, Sketch
from earmark.data.preparation.preparing import Placed, place

FOLDS_NEEDED = 3
"""One to test, one to choose by, one to learn from."""
OF_ONE_LABEL = ("top1_acc", "mAP", "d_prime", "aucroc")
OF_SEVERAL = ("mAP", "d_prime", "aucroc")
OF_PITCH = ("pitch_acc", "chroma_acc")


def esc50(data: Path, making: Making) -> Sketch:
    """ESC-50 in its five folds, clips of 5 s."""
    return of_corpus(data, "esc50", making.replace(seconds=making.seconds or 5.0), "esc50")


def esc10(data: Path, making: Making) -> Sketch:
    """ESC-10 in its five folds, clips of 5 s."""
    return of_corpus(data, "esc10", making.replace(seconds=making.seconds or 5.0), "esc10")


def speech_commands(data: Path, making: Making) -> Sketch:
    """Speech Commands v2 in its three parts, all 35 words, clips of 1 s.

    The benchmark's own task has twelve classes: ten words, the rest, and silence; so this is another, and its
    name is.
    """
    making = making.replace(seconds=making.seconds or 1.0)
    return of_corpus(data, "speech-commands", making, "speech_commands_v2_35")


def table(data: Path, making: Making) -> Sketch:
    """Any table or folder of classes that earmark reads, called as the folder it lies in."""
    whole = data.resolve()
    return of_corpus(data, None, making, whole.name if whole.is_dir() else whole.parent.name)


def pitch(data: Path, making: Making) -> Sketch:
    """A table whose labels are pitches, as MIDI numbers: how many are right, and right but for the octave.

    Raises:
        ConfigError: a label is no whole number.
    """
    sketch = table(data, making)
    strange = next((label for label in sketch.labels if not re.fullmatch(r"\d{1,3}", label)), None)
    if strange is not None or not sketch.exclusive:
        raise ConfigError(
            f"{displayable(data)}: a pitch is one MIDI number a clip, such as 60, not {strange or 'several'}"
        )
    return sketch._replace(metrics=OF_PITCH)


def of_corpus(data: Path, corpus: str | None, making: Making, name: str) -> Sketch:
    """A task of whole sounds.

    Args:
        data: folder or table.
        corpus: how to read it, by a name of `find_corpus`; None to find out.
        making: name, if another, and length.
        name: of the task.

    Raises:
        ConfigError: the corpus cannot be read, or has neither parts nor three folds.
    """
    found, root = find_corpus(data, corpus)
    split, placed = place(found, root)
    exclusive = split.labels.exclusive
    return Sketch(
        name=making.name or re.sub(r"\W+", "_", name, flags=re.ASCII),
        embedding="scene",
        exclusive=exclusive,
        labels=tuple(split.labels.names),
        metrics=OF_ONE_LABEL if exclusive else OF_SEVERAL,
        splits=entries_of(by_split(placed, data)),
        seconds=making.seconds,
    )


def by_split(placed: Sequence[Placed], data: Path) -> dict[str, list[Clip]]:
    """Clips by the benchmark's names of splits: folds from fold00, or the three parts.

    Where there is nothing to choose by, a tenth of what is learned from is taken, by a hash of the names.

    Raises:
        ConfigError: there are neither parts nor three folds.
    """
    folds = sorted({one.fold for one in placed if one.fold is not None})
    if folds:
        if len(folds) < FOLDS_NEEDED or any(one.fold is None for one in placed):
            raise ConfigError(
                f"{displayable(data)} has {len(folds)} folds; a task needs {FOLDS_NEEDED} folds or more that "
                "hold all clips, or a part to test with"
            )
        return {
            f"fold{place:02d}": [one.clip for one in placed if one.fold == fold]
            for place, fold in enumerate(folds)
        }
    parts = {
        ours: [one.clip for one in placed if one.split == theirs]
        for ours, theirs in (("train", "train"), ("valid", "validation"), ("test", "test"))
    }
    if not parts["valid"]:
        chosen = deal({str(clip): clip.labels for clip in parts["train"]}, 10)
        parts["valid"] = [clip for clip in parts["train"] if chosen.get(str(clip)) == 1]
        parts["train"] = [clip for clip in parts["train"] if chosen.get(str(clip)) != 1]
    empty = [name for name, clips in parts.items() if not clips]
    if empty:
        raise ConfigError(
            f"{displayable(data)} has no clips for {empty[0]}; a task needs train, valid and test"
        )
    return parts


def entries_of(parts: dict[str, list[Clip]]) -> dict[str, list[Entry]]:
    """Clips as entries of a task, under names of their own."""
    clips = [clip for some in parts.values() for clip in some]
    unknown = [clip for clip in clips if clip.unknown]
    if unknown:
        raise ConfigError(
            f"{displayable(unknown[0].path)} has labels of which nobody knows whether they hold "
            f"({len(unknown)} clips have such); a HEAR task cannot say that: leave these clips or "
            "labels out of the table"
        )
    reader = Reader(clips)
    entries = iter(
        [
            Entry(
                name,
                repr((clip.path.name, *of_file(clip.path), *clip[2:4], clip.row)),
                partial(reader.whole, index),
                clip.labels,
            )
            for index, (name, clip) in enumerate(zip(file_names(clips), clips, strict=True))
        ]
    )
    return {part: [next(entries) for _ in some] for part, some in parts.items()}


def of_file(path: Path) -> tuple[int, int]:
    """Size and time of change of a file: sounds of the same names may be others tomorrow."""
    try:
        found = path.stat()
    except OSError:
        return -1, -1
    return found.st_size, found.st_mtime_ns


def file_names(clips: Sequence[Clip]) -> list[str]:
    """A name for each clip that no other has: its file's, with folder and place where that is not enough.

    Example:
        >>> file_names([Clip(Path("a/x.ogg"), ()), Clip(Path("b/x.ogg"), ()), Clip(Path("b/y.ogg"), ())])
        ['a_x', 'b_x', 'y']
    """
    plain = [_plain(clip) for clip in clips]
    counts = Counter(plain)
    longer = [
        name if counts[name] == 1 else f"{clip.path.parent.name}_{name}"
        for name, clip in zip(plain, clips, strict=True)
    ]
    seen: Counter[str] = Counter()
    found: list[str] = []
    for name in longer:
        seen[name] += 1
        found.append(name if seen[name] == 1 else f"{name}~{seen[name]}")
    return found


def _plain(clip: Clip) -> str:
    row = "" if clip.row is None else f"_{clip.row}"
    stretch = "" if not clip.start and clip.end is None else f"_{clip.start * 1000:.0f}ms"
    return f"{displayable(clip.path.stem)}{row}{stretch}"
