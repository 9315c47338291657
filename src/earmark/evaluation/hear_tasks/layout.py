"""Tasks as hear-preprocess writes them: a folder each, with labels in JSON and sounds by rate and split."""

import csv
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.data.preparation.hear_tasks.sketch import Event

__all__ = ["Event", "HearTask", "Round", "find_tasks", "read_task"]

METADATA, VOCABULARY = "task_metadata.json", "labelvocabulary.csv"
PARTS = ("train", "valid", "test")
LEAST_FOLDS = 3
"""One to test, one to choose by, one to learn from."""


class Round(NamedTuple):
    """Which splits are learned from, chosen by and counted on.

    Attributes:
        train: names of splits.
        valid: the one to choose by.
        test: the one that is counted.
    """

    train: tuple[str, ...]
    valid: str
    test: str


Labels = tuple[str, ...]
Events = tuple[Event, ...]


class HearTask(NamedTuple):
    """A task on disk.

    Attributes:
        folder: where it lies.
        name: without version and mode, such as esc50.
        embedding: what is embedded: whole sounds (scene) or points in time (event).
        exclusive: one label holds for each sound.
        labels: in the order of the vocabulary.
        metrics: their names; the first decides.
        seconds: length of all sounds; None if they differ.
        splits: by name of the split, the labels or the events of each file.
        median_filters: widths in milliseconds that scores of events may be smoothed by.
        min_durations: lengths in milliseconds below which an event may be dropped.
        by_loss: what is learned is chosen by its loss, where the metric takes too long.
    """

    folder: Path
    name: str
    embedding: Literal["scene", "event"]
    exclusive: bool
    labels: tuple[str, ...]
    metrics: tuple[str, ...]
    seconds: float | None
    splits: dict[str, dict[str, Labels | Events]]
    median_filters: tuple[float, ...] = (250.0,)
    min_durations: tuple[float, ...] = (125.0, 250.0)
    by_loss: bool = False

    @property
    def title(self) -> str:
        """The name of its folder, with version and mode."""
        return self.folder.name

    @property
    def rounds(self) -> tuple[Round, ...]:
        """One, or for folds one each: it is counted, the next is chosen by, the others are learned from."""
        names = tuple(self.splits)
        if names == PARTS:
            return (Round(("train",), "valid", "test"),)
        found: list[Round] = []
        for place, test in enumerate(names):
            valid = names[(place + 1) % len(names)]
            found.append(Round(tuple(name for name in names if name not in (test, valid)), valid, test))
        return tuple(found)


def find_tasks(root: Path) -> list[Path]:
    """The folders of tasks: `root` itself, or those directly in it, sorted.

    Raises:
        ConfigError: there is none.
    """
    if (root / METADATA).is_file():
        return [root]
    found = sorted(path.parent for path in root.glob(f"*/{METADATA}")) if root.is_dir() else []
    if not found:
        raise ConfigError(
            f"{displayable(root)} holds no HEAR tasks: neither {METADATA} nor folders with one; "
            "`earmark prepare hear-tasks` makes some"
        )
    return found


def read_task(folder: Path) -> HearTask:
    """Read what a task says of itself, and its labels.

    Raises:
        ConfigError: a file is missing or not as hear-preprocess writes it; the sentence names it.
    """
    path = folder / METADATA
    told = _object(path)
    embedding, prediction = _word(path, told, "embedding_type"), _word(path, told, "prediction_type")
    labels = _vocabulary(folder / VOCABULARY)
    reader = _Reader(embedding == "event", prediction == "multiclass", frozenset(labels))
    splits = {name: reader.read(folder / f"{name}.json") for name in _split_names(path, told)}
    metrics = told.get("evaluation")
    if not isinstance(metrics, list) or not metrics:
        raise ConfigError(f"{displayable(path)}: evaluation is {metrics!r}; give a list of metrics")
    seconds = told.get("sample_duration")
    grid = _grid(path, told)
    return HearTask(
        folder=folder,
        name=str(told.get("task_name") or folder.name.partition("-")[0]),
        embedding="event" if embedding == "event" else "scene",
        exclusive=prediction == "multiclass",
        labels=labels,
        metrics=tuple(map(str, cast(list[Any], metrics))),
        seconds=float(seconds) if isinstance(seconds, int | float) else None,
        splits=splits,
        by_loss=told.get("use_scoring_for_early_stopping") is False,
        **grid,
    )


WORDS = {"embedding_type": ("scene", "event"), "prediction_type": ("multiclass", "multilabel")}


def _word(path: Path, told: Mapping[str, Any], field: str) -> str:
    word = told.get(field)
    if word not in WORDS[field]:
        raise ConfigError(f"{displayable(path)}: {field} is {word!r}; give {' or '.join(WORDS[field])}")
    return str(word)


def _split_names(path: Path, told: Mapping[str, Any]) -> tuple[str, ...]:
    """The splits: three parts, or folds in their order."""
    named, count = told.get("splits"), told.get("nfolds")
    if isinstance(named, list) and named:
        names = tuple(map(str, cast(list[Any], named)))
    elif "kfold" in str(told.get("split_mode", "")) and isinstance(count, int):
        names = tuple(f"fold{place:02d}" for place in range(count))
    else:
        names = PARTS
    if set(names) == set(PARTS):
        return PARTS
    if len(names) < LEAST_FOLDS or len(set(names)) < len(names) or set(names) & set(PARTS):
        raise ConfigError(
            f"{displayable(path)}: its splits are {', '.join(names)}; there must be {', '.join(PARTS)}, or "
            f"{LEAST_FOLDS} different folds or more"
        )
    return tuple(sorted(names))


def _grid(path: Path, told: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """What the task says of how scores become events."""
    grid: Any = told
    for field in ("evaluation_params", "event_postprocessing_grid"):
        grid = grid.get(field) if isinstance(grid, dict) else None
    found: dict[str, tuple[float, ...]] = {}
    for field, ours in (("median_filter_ms", "median_filters"), ("min_duration", "min_durations")):
        values = cast(dict[str, Any], grid).get(field) if isinstance(grid, dict) else None
        if values is None:
            continue
        values = cast(list[Any], values if isinstance(values, list) else [values])
        if not values or not all(_is_time(value) for value in values):
            raise ConfigError(f"{displayable(path)}: {field} is {values}; give milliseconds, 0 or more")
        found[ours] = tuple(map(float, values))
    return found


def _vocabulary(path: Path) -> tuple[str, ...]:
    """The labels in the order of their numbers, which go from 0 up."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        numbered = {int(row["idx"]): row["label"] for row in rows}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{displayable(path)}: cannot be read as a table ({error})") from None
    except (KeyError, TypeError, ValueError):
        raise ConfigError(f"{displayable(path)}: needs columns idx, of whole numbers, and label") from None
    whole = len(numbered) == len(rows) == len(set(numbered.values())) and None not in numbered.values()
    if not numbered or not whole or sorted(numbered) != list(range(len(numbered))):
        raise ConfigError(f"{displayable(path)}: must number different labels from 0 up without gaps")
    return tuple(numbered[place] for place in range(len(numbered)))


def _object(path: Path) -> dict[str, Any]:
    try:
        tree = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{displayable(path)}: cannot be read as JSON ({error})") from None
    if not isinstance(tree, dict):
        raise ConfigError(f"{displayable(path)}: must be an object, not {type(tree).__name__}")
    return cast(dict[str, Any], tree)


class _Reader(NamedTuple):
    """Reads the labels of splits.

    Attributes:
        events: they have times.
        single: each sound has exactly one.
        known: the vocabulary.
    """

    events: bool
    single: bool
    known: frozenset[str]

    def read(self, path: Path) -> dict[str, Labels | Events]:
        tree = _object(path)
        if not tree:
            raise ConfigError(f"{displayable(path)}: lists no sounds")
        found: dict[str, Labels | Events] = {}
        for name, entry in tree.items():
            entries = cast(list[Any], entry if isinstance(entry, list) else [entry])
            where = f"{displayable(path)}: {name}"
            found[name] = self._events(where, entries) if self.events else self._labels(where, entries)
        return found

    def _labels(self, where: str, entries: list[Any]) -> Labels:
        names = tuple(self._known(where, entry) for entry in entries)
        if self.single and len(names) != 1:
            raise ConfigError(f"{where} has {len(names)} labels; in a multiclass task each sound has one")
        return names

    def _events(self, where: str, entries: list[Any]) -> Events:
        found: list[Event] = []
        for entry in entries:
            told = cast(dict[str, Any], entry) if isinstance(entry, dict) else {}
            start, end = told.get("start"), told.get("end")
            if not (_is_time(start) and _is_time(end) and cast(float, start) <= cast(float, end)):
                raise ConfigError(
                    f"{where}: {entry!r:.120} is no event; it needs a label, start and end in ms"
                )
            found.append(
                Event(
                    self._known(where, told.get("label")), float(cast(float, start)), float(cast(float, end))
                )
            )
        return tuple(sorted(found, key=lambda event: (event.start, event.end, event.label)))

    def _known(self, where: str, label: Any) -> str:
        name = str(label)
        if name not in self.known:
            raise ConfigError(f"{where}: {name!r:.80} is not in {VOCABULARY}")
        return name


def _is_time(value: Any) -> bool:
    return (
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    )
