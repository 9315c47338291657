"""Mistakes in a user's table, collected: one sentence each, all kinds of them in one error."""

import itertools
from collections import Counter, defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import NoReturn

from earmark.audio.errors import displayable, one_line
from earmark.config import ConfigError

LISTED = 10
"""So many sentences are given; more only where there are more kinds of mistakes."""
LONGEST = 400
"""Characters of a sentence; what a broken table holds in a cell may be long."""
NUMBERS = 5
"""So many further lines are named by number alone."""


class TableError(ConfigError):
    """What is wrong with a table or a folder of classes.

    Attributes:
        sentences: a line each; the error's own text is these lines.

    Example:
        >>> TableError(["a.csv, line 2: there is no file 'x.wav'"]).sentences
        ("a.csv, line 2: there is no file 'x.wav'",)
    """

    def __init__(self, sentences: Iterable[str]) -> None:
        self.sentences = tuple(one_line(sentence) for sentence in sentences)
        super().__init__("\n".join(self.sentences))


class Mistakes:
    """The mistakes of one table, as they are found.

    Args:
        table: the file, as the user named it.
        unit: what its rows are counted in: `line`, `entry` or `row`.

    Example:
        >>> mistakes = Mistakes(Path("a.csv"))
        >>> mistakes.add("label", 7, "there is no label")
        >>> mistakes.check()
        Traceback (most recent call last):
        earmark.data.tables.errors.TableError: a.csv, line 7: there is no label
    """

    def __init__(self, table: Path, unit: str = "line") -> None:
        self.table, self.unit = displayable(table), unit
        self.counts: Counter[str] = Counter()
        self._first: defaultdict[str, list[tuple[int, str]]] = defaultdict(list)
        self._further: defaultdict[str, list[int]] = defaultdict(list)

    def add(self, kind: str, number: int, sentence: str) -> None:
        """Note a mistake.

        Args:
            kind: any word; mistakes of a kind are counted together.
            number: the line; 0 for the table as a whole.
            sentence: what was found, what is allowed, what to do; without the file and the line.
        """
        self.counts[kind] += 1
        if self.counts[kind] <= LISTED:
            self._first[kind].append((number, sentence))
        if self.counts[kind] <= LISTED + NUMBERS:
            self._further[kind].append(number)

    def stop(self, sentence: str, number: int = 0) -> NoReturn:
        """Raise at once, together with what was noted so far: nothing more can be read.

        Raises:
            TableError: always.
        """
        self.add("end", number, sentence)
        raise TableError(self.sentences())

    def check(self) -> None:
        """Raise if there are mistakes.

        Raises:
            TableError: all kinds of mistakes, by line, and how many there are.
        """
        if self.counts:
            raise TableError(self.sentences())

    def sentences(self) -> list[str]:
        """The first mistakes of each kind in the order of their lines, after a line that counts all."""
        shares = self._shares()
        lines = sorted(
            (number, self._line(number, sentence) + self._rest(kind, share if last else 0))
            for kind, share in shares.items()
            for last, (number, sentence) in _marking_last(self._first[kind][:share])
        )
        total = self.counts.total()
        if total == 1:
            return [text for _, text in lines]
        listed = sum(shares.values())
        those = "" if listed == total else f", {listed} of them listed"
        return [f"{self.table} has {total} mistakes{those}:", *(text for _, text in lines)]

    def _shares(self) -> dict[str, int]:
        """How many sentences each kind gets: one, and the others in turn while there is room."""
        shares: Counter[str] = Counter()
        for turn in range(LISTED):
            for kind in self._first:
                if len(self._first[kind]) > turn and (turn == 0 or shares.total() < LISTED):
                    shares[kind] += 1
        return dict(shares)

    def _line(self, number: int, sentence: str) -> str:
        where = f"{self.table}, {self.unit} {number}" if number else self.table
        if len(sentence) > LONGEST:
            sentence = f"{sentence[: LONGEST // 2]} ... {sentence[-LONGEST // 2 :]}"
        return f"{where}: {sentence}"

    def _rest(self, kind: str, share: int) -> str:
        """Where the mistakes of this kind are that have no sentence of their own."""
        left = self.counts[kind] - share
        if not share or not left:
            return ""
        numbers = [str(number) for number in itertools.islice(self._further[kind], share, share + NUMBERS)]
        dots = ", ..." if left > len(numbers) else ""
        units = self.unit if left == 1 else {"entry": "entries"}.get(self.unit, f"{self.unit}s")
        return f" (and {left} more like this: {units} {', '.join(numbers)}{dots})"


def _marking_last(entries: list[tuple[int, str]]) -> list[tuple[bool, tuple[int, str]]]:
    return [(index == len(entries) - 1, entry) for index, entry in enumerate(entries)]
