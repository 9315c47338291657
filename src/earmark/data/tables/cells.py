"""What stands in a table's cells: times, labels, splits and folds, or why not."""

import ast
import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import Any, Literal, cast

SEPARATORS = (";", "|", ",")
"""Between labels in a cell, where several may stand; commas also stand inside of names, so they come last."""

Part = Literal["train", "validation", "test"]

_TRAIN = "train training trn tr learn fit train_set training_set"
_VALIDATION = "validation valid val validate vld val_set validation_set valid_set"
_TEST = "test testing tst test_set testing_set heldout held_out holdout"
PARTS: dict[str, Part] = {
    **dict.fromkeys(_TRAIN.split(), "train"),
    **dict.fromkeys(_VALIDATION.split(), "validation"),
    **dict.fromkeys(_TEST.split(), "test"),
}
"""Words for the parts of a corpus; case, spaces and dashes do not matter."""

DEVELOPMENT = frozenset(["dev", "devel", "development"])
"""Clips to choose by where there is a `train`; where there is none, as in FSD50K and DCASE, to learn from."""
EVALUATION = frozenset(["eval", "evaluation", "evaluate"])
"""The test where there is none by name; clips to choose by beside one."""


class Unreadable(ValueError):  # noqa: N818 (an event inside the room; its text becomes a sentence)
    """A cell that does not say what it must; the text is the end of a sentence."""


def word_of(cell: str) -> str:
    """A split's name without case, spaces and dashes."""
    return re.sub(r"[\s\-.]+", "_", cell.strip().casefold())


def parts_of(words: Iterable[str]) -> dict[str, Part]:
    """What each of the splits of one table is.

    Example:
        >>> parts_of(["dev", "eval"]), parts_of(["Train", "dev", "test"])["dev"]
        ({'dev': 'train', 'eval': 'test'}, 'validation')
    """
    plain = {word: word_of(word) for word in words}
    named = {PARTS.get(word) for word in plain.values()}
    found: dict[str, Part] = {}
    for word, bare in plain.items():
        if bare in DEVELOPMENT:
            found[word] = "validation" if "train" in named else "train"
        elif bare in EVALUATION:
            found[word] = "validation" if "test" in named else "test"
        elif bare in PARTS:
            found[word] = PARTS[bare]
    return found


def is_part(word: str) -> bool:
    """Whether a word is one for a split."""
    bare = word_of(word)
    return bare in PARTS or bare in DEVELOPMENT or bare in EVALUATION


def seconds(cell: Any, empty: float) -> float:
    """A time.

    Args:
        cell: a number, or a text of one.
        empty: the answer for an empty cell.

    Raises:
        Unreadable: it is no finite number.
    """
    if type(cell) is float and math.isfinite(cell):
        return cell
    text = "" if cell is None or cell != cell else str(cell).strip()
    if not text:
        return empty
    try:
        value = math.nan if isinstance(cell, bool) else float(text)
    except ValueError:
        value = math.nan
    if math.isfinite(value) and "_" not in text:
        return value
    if re.fullmatch(r"\d+,\d+", text):
        raise Unreadable(f"{text!r} has a comma; write {text.replace(',', '.')!r}")
    if re.fullmatch(r"[\d:.]+", text) and ":" in text:
        raise Unreadable(f"{text!r} is a time of day; write seconds, such as 90.5")
    raise Unreadable(f"{text[:40]!r} is no number; write seconds, such as 1.5")


def fold_number(cell: Any) -> int:
    """A fold: a whole number, or a word that ends in one, such as `fold3`.

    Raises:
        Unreadable: it is neither.
    """
    text = "" if cell is None else str(cell).strip()
    match = re.fullmatch(r"(?:[A-Za-z]+[\s_-]*)?(\d{1,6})(?:\.0)?", text)
    if not match:
        what = "is empty" if not text else f"{text[:40]!r} is no whole number"
        raise Unreadable(f"{what}; write a fold such as 1")
    return int(match[1])


def text_of(cell: Any) -> str:
    """A cell as text, without spaces around it; NaN and None are empty."""
    if isinstance(cell, str):
        return cell.strip()
    return "" if cell is None or cell != cell else str(cell).strip()


def raw_labels(cell: Any) -> str | tuple[str, ...]:
    """The labels of a cell, not separated yet: a text, or the entries of a list.

    Lists are those of JSON and Parquet, and texts that are lists in JSON or as Python prints them.
    """
    if isinstance(cell, str):
        text = cell.strip()
        if text.startswith("[") and text.endswith("]"):
            listed = _parsed_list(text)
            return text if listed is None else _entries(listed)
        return text
    if isinstance(cell, list | tuple):
        return _entries(cast(Sequence[Any], cell))
    return text_of(cell)


def separated(raw: str | tuple[str, ...], separator: str) -> tuple[str, ...]:
    """The labels one by one, each once, in their order."""
    names = raw if isinstance(raw, tuple) else raw.split(separator) if separator else (raw,)
    return tuple(dict.fromkeys(name for part in names if (name := part.strip())))


def find_separator(raws: Iterable[str | tuple[str, ...]]) -> str:
    """The separator that these texts have: the first of `SEPARATORS` that occurs, or none.

    Example:
        >>> find_separator(["Bird;Wind, rain", "Dog"])
        ';'
    """
    seen = "".join({mark for raw in raws if isinstance(raw, str) for mark in SEPARATORS if mark in raw})
    return next((mark for mark in SEPARATORS if mark in seen), "")


def _entries(listed: Sequence[Any]) -> tuple[str, ...]:
    return tuple(text_of(entry) for entry in listed)


def _parsed_list(text: str) -> list[Any] | None:
    try:
        listed = json.loads(text)
    except (ValueError, RecursionError):
        try:
            listed = ast.literal_eval(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return None
    return listed if isinstance(listed, list) else None
