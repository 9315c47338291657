"""Labels that annotators left out, found by an ontology and a model's own scores."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Float64

from earmark.config import ConfigError

Rule = Literal["mean", "median", "p25", "p10", "p5"]

_PERCENTILES = {"median": 50, "p25": 25, "p10": 10, "p5": 5}


def enhance(
    targets: Bool[np.ndarray, "clip class"],
    scores: Float[np.ndarray, "clip class"],
    names: Sequence[str],
    children: Mapping[str, Sequence[str]],
    types: Sequence[Literal[1, 2]] = (1, 2),
    rule: Rule = "p5",
) -> Bool[np.ndarray, "clip class"]:
    """Add labels that an ontology makes likely and that a model hears.

    Type 1: a clip has a class but not its children.  Type 2: it has a class but not its ancestors.  Such a
    label is added if the clip's score is greater than the class's threshold.  Both look at the labels as they
    were given.

    Args:
        targets: the labels that are there.
        scores: of a model that was trained with them.
        names: of the classes, as the ontology has them.
        children: of each class, by name; a class that is not among `names` stands for its own children.
        types: which are mended.
        rule: see `thresholds`.

    Source:
        PSLA (Gong et al., arXiv:2102.01243), section 3.4.

    Example:
        >>> had = np.array([[True, True], [True, False], [True, False]])
        >>> scores = np.array([[0.9, 0.6], [0.9, 0.7], [0.9, 0.1]])
        >>> enhance(had, scores, ["Animal", "Dog"], {"Animal": ["Dog"]}).astype(int).tolist()
        [[1, 1], [1, 1], [1, 0]]
    """
    heard = scores > thresholds(targets, scores, rule)
    below = related(names, children)
    above = ancestors(below)
    wanted = np.zeros_like(targets)
    for number in range(len(names)):
        near = (below[number] if 1 in types else set()) | (above[number] if 2 in types else set())
        wanted[:, sorted(near)] |= targets[:, number : number + 1]
    return targets | (wanted & heard)


def thresholds(
    targets: Bool[np.ndarray, "clip class"], scores: Float[np.ndarray, "clip class"], rule: Rule
) -> Float64[np.ndarray, "class"]:
    """For each class the mean, median, or a percentile, of the scores of the clips that have it.

    A class that no clip has gets infinity: it is never added.

    Example:
        >>> thresholds(np.array([[True, False], [True, False]]), np.array([[0.2, 0.5], [0.4, 0.5]]), "mean")
        array([0.3, inf])
    """
    found = np.full(targets.shape[1], np.inf)
    for number in range(targets.shape[1]):
        positives = scores[targets[:, number], number].astype(np.float64)
        if len(positives):
            found[number] = (
                positives.mean() if rule == "mean" else np.percentile(positives, _PERCENTILES[rule])
            )
    return found


def related(names: Sequence[str], children: Mapping[str, Sequence[str]]) -> list[set[int]]:
    """For each class the numbers of its children; those of a child that is not in the label set in its place.

    Raises:
        ConfigError: a class is below itself.

    Example:
        >>> related(["Animal", "Dog"], {"Animal": ["Pets"], "Pets": ["Dog"]})
        [{1}, set()]
    """
    numbers = {name: number for number, name in enumerate(names)}

    def nearest(name: str, way: tuple[str, ...]) -> set[int]:
        found: set[int] = set()
        for child in children.get(name, ()):
            if child in way:
                raise ConfigError(f"the ontology has {child!r} below itself; mend it")
            found |= {numbers[child]} if child in numbers else nearest(child, (*way, child))
        return found

    return [nearest(name, (name,)) for name in names]


def ancestors(below: Sequence[set[int]]) -> list[set[int]]:
    """For each class the numbers of its parents, theirs, and so on.

    Args:
        below: for each class its children.

    Example:
        >>> ancestors([{1}, {2}, set()])
        [set(), {0}, {0, 1}]
    """
    found: list[set[int]] = [set() for _ in below]
    changed = True
    while changed:  # once for each generation
        changed = False
        for parent, children in enumerate(below):
            for child in children:
                more = found[parent] | {parent}
                changed |= not more <= found[child]
                found[child] |= more
    return found


def read_ontology(path: Path, by: Literal["id", "name"] = "name") -> dict[str, list[str]]:
    """The children of each class from AudioSet's `ontology.json`.

    Args:
        path: the file: a list of entries with `id`, `name` and `child_ids`.
        by: whether classes are called by their ids (`/m/...`) or by their names.

    Raises:
        ConfigError: the file is missing or is no such list.
    """
    try:
        entries: Any = json.loads(path.read_text(encoding="utf-8"))
        called = {entry["id"]: str(entry[by]) for entry in entries}
        return {called[e["id"]]: [called[child] for child in e["child_ids"]] for e in entries}
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ConfigError(
            f"{path} cannot be read as AudioSet's ontology, a list of entries with id, name and child_ids "
            f"({type(error).__name__}: {error})"
        ) from None
