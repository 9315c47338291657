"""FSD50K: 200 kinds of sound in 51,197 recordings from Freesound."""

import csv
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

from earmark.config import ConfigError, Frozen
from earmark.data.archives import find_packs
from earmark.data.clips import Clip, Split, first_existing, read_rows
from earmark.data.packs.hdf5 import read_pack
from earmark.labels import LabelSet

TRUTH = ("FSD50K.ground_truth", "ground_truth", "labels")


class Word(NamedTuple):
    """A class: its label in the archive's tables, Freebase's machine id, AudioSet's display name."""

    label: str
    mid: str
    display_name: str


@cache
def vocabulary() -> tuple[Word, ...]:
    """The 200 classes, in the order of the archive's `vocabulary.csv`.

    Source:
        Fonseca et al., FSD50K: an open dataset of human-labeled sound events, arXiv:2010.00475 (CC BY 4.0).
        Eight classes that AudioSet's table does not have keep their own names.

    Example:
        >>> vocabulary()[0]
        Word(label='Accelerating_and_revving_and_vroom', mid='/m/07q2z82',
             display_name='Accelerating, revving, vroom')
    """
    with Path(__file__).with_name("fsd50k.csv").open(encoding="utf-8", newline="") as file:
        return tuple(Word(**row) for row in csv.DictReader(file))


class FSD50K(Frozen):
    """FSD50K from the official archive, or from PaSST's packs of it.

    Its own split is kept: `train` is learned from, `val` is there to choose by, `eval` is held out.

    Source:
        Fonseca et al., arXiv:2010.00475.

    Example:
        >>> len(FSD50K().labels), FSD50K().labels.names[1]
        (200, 'Accordion')
    """

    kind: Literal["FSD50K"] = "FSD50K"

    @property
    def n_folds(self) -> int:
        """There are no folds: one part is held out by its makers."""
        return 0

    @property
    def labels(self) -> LabelSet:
        """AudioSet's display names with their machine ids; several hold for most clips."""
        words = vocabulary()
        return LabelSet(
            names=tuple(word.display_name for word in words), ids=tuple(word.mid for word in words)
        )

    def read(self, root: Path) -> Split:
        """Read the three parts.

        Args:
            root: the folder with `FSD50K.ground_truth/`, `FSD50K.dev_audio/` and `FSD50K.eval_audio/`; or
                with PaSST's `mp3/FSD50K.train_mp3.hdf` and so on.

        Raises:
            ConfigError: the folder or a table is not of this form.
        """
        packs = find_packs(root, [f"FSD50K.{part}_mp3.hdf" for part in ("train", "val", "eval")])
        if packs is not None:
            train, validation, test = (read_pack(pack, self.labels.names) for pack in packs)
            return Split(self.labels, train, test, validation)
        truth = first_existing(root, TRUTH, "folder of FSD50K's tables, and no packs,")
        _check_vocabulary(truth / "vocabulary.csv")
        learned: list[Clip] = []
        chosen: list[Clip] = []
        audio = first_existing(root, ("FSD50K.dev_audio", "dev_audio"), "folder of FSD50K's dev clips")
        for row, clip in _clips(truth / "dev.csv", audio, ("fname", "labels", "split")):
            if row["split"] not in ("train", "val"):
                raise ConfigError(
                    f"{truth / 'dev.csv'}: split {row['split']!r} of {row['fname']}; it is 'train' or 'val'"
                )
            (learned if row["split"] == "train" else chosen).append(clip)
        audio = first_existing(root, ("FSD50K.eval_audio", "eval_audio"), "folder of FSD50K's eval clips")
        held_out = [clip for _, clip in _clips(truth / "eval.csv", audio, ("fname", "labels"))]
        return Split(self.labels, learned, held_out, chosen)


def _clips(table: Path, audio: Path, columns: Sequence[str]) -> list[tuple[dict[str, str], Clip]]:
    """The clips of one table, with its rows."""
    names = {word.label: word.display_name for word in vocabulary()}
    clips: list[tuple[dict[str, str], Clip]] = []
    for row in read_rows(table, columns):
        words = (row["labels"] or "").split(",")
        unknown = [word for word in words if word not in names]
        if unknown or not row["fname"]:
            wrong = f"the label {unknown[0]!r}" if unknown else "no name"
            raise ConfigError(
                f"{table}: the clip {row['fname']!r} has {wrong}; it takes some of the 200 classes"
            )
        labels = tuple(dict.fromkeys(names[word] for word in words))
        clips.append((row, Clip(audio / f"{row['fname']}.wav", labels)))
    return clips


def _check_vocabulary(table: Path) -> None:
    """Refuse an archive whose classes are others, or in another order: a model's logits follow this order."""
    if not table.is_file():
        return  # the tables name their labels; it is a check, not a source
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{table}: cannot be read as a table ({error})") from None
    found = [row[1] if len(row) > 1 else row[0] for row in rows if row[0] != "index"]
    known = [word.label for word in vocabulary()]
    if found != known:
        wrong = next((a for a, b in zip(found, known, strict=False) if a != b), f"{len(found)} rows")
        raise ConfigError(f"{table} is not FSD50K's vocabulary of 200 classes; it differs at {wrong!r}")
