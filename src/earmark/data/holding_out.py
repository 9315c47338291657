"""Folds for clips that have none: dealt by name, so that those of the first clips stay when more come."""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pydantic import Field, model_validator

from earmark.config import Frozen

DEALT = 5
"""Folds that clips are dealt into where nobody names any; one of them is held out."""


class HeldOut(Frozen):
    """A corpus of a user's own, of which one fold may be held out.

    Attributes:
        names: the labels, in the order of a model's outputs; empty until they were read.
        fold: the one that is held out; None where the corpus's splits decide.
        folds: all of them.
    """

    names: tuple[str, ...] = Field(default=(), max_length=100_000)
    fold: int | None = Field(default=None, ge=0, lt=10**6)
    folds: tuple[int, ...] = Field(default=(), max_length=10_000)

    @model_validator(mode="after")
    def _check_fold(self) -> "HeldOut":
        if self.fold is not None and self.folds and self.fold not in self.folds:
            raise ValueError(f"no fold {self.fold} to hold out; there are {', '.join(map(str, self.folds))}")
        return self

    @property
    def n_folds(self) -> int:
        """How many folds there are; 0 where the corpus's splits alone decide."""
        return len(self.folds)


def deal(groups: Mapping[str, Sequence[str]], n_folds: int) -> dict[str, int]:
    """A fold for each group of clips.

    A group's fold is a hash of its name, so it depends on no other group.  Only where chance was unkind to a
    class is it helped: no fold holds more than half again its fair share of the class (so that no class
    is held out whole), and the first fold, which is held out by default, at least half of it and never none.
    A group belongs to the rarest of its labels.

    Args:
        groups: names of the groups, with the labels that occur in each.
        n_folds: how many folds; at least 2.

    Returns:
        Folds from 1 by group.  A group that is the only one of a label has none: it must always be
        learned from.

    Example:
        >>> folds = deal({f"{kind}{i}": [kind] for kind in "ab" for i in range(10)}, 5)
        >>> sum(fold == 1 for fold in folds.values())
        4
    """
    counts = Counter(label for labels in groups.values() for label in set(labels))
    classes: defaultdict[str, list[str]] = defaultdict(list)
    for name, labels in groups.items():
        classes[min(labels, key=lambda label: (counts[label], label), default="")].append(name)
    folds: dict[str, int] = {}
    for label, names in classes.items():
        if counts[label] != 1:
            folds |= _dealt(names, n_folds)
    return folds


def _dealt(names: Sequence[str], n_folds: int) -> dict[str, int]:
    """Folds for the groups of one class."""
    hashes = {name: _hash(name) for name in names}
    folds: defaultdict[int, list[str]] = defaultdict(list)
    for name in sorted(names, key=lambda name: (hashes[name], name)):
        folds[1 + hashes[name] % n_folds].append(name)
    share = len(names) / n_folds
    most, least = max(math.ceil(share), int(1.5 * share)), max(1, int(share / 2))
    if len(names) == 1:
        least = 0  # its label is also in groups of other classes
    numbers = range(1, n_folds + 1)
    for number in numbers:
        while len(folds[number]) > most:
            folds[_emptiest(folds, numbers)].append(folds[number].pop())
    while len(folds[1]) < least:
        fullest = max(numbers, key=lambda number: (len(folds[number]), -number))
        folds[1].append(folds[fullest].pop(0))
    return {name: number for number in numbers for name in folds[number]}


def _emptiest(folds: Mapping[int, Sequence[str]], numbers: Iterable[int]) -> int:
    return min(numbers, key=lambda number: (len(folds[number]), number))


def _hash(name: str) -> int:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big")
