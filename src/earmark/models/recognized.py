"""A stranger's file as a model: read, recognized by its names and shapes, and given its labels."""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, cast

from earmark.config import ConfigError
from earmark.labels import LabelSet
from earmark.models.foreign import read_foreign
from earmark.models.published import FAMILIES, Origin, tagger_from_state
from earmark.models.tagger import Tagger
from earmark.models.tensor_file import CheckpointError, opened

MAX_CONFIG_BYTES = 4 * 1024**2
MAX_LABEL = 200


class Recognized(NamedTuple):
    """A model from a stranger's file.

    Attributes:
        tagger: the model, in evaluation mode.
        family: what it was recognized as, such as "PaSST".
        named_by: the file beside it that named its classes; None where the family did.
    """

    tagger: Tagger
    family: str
    named_by: str | None = None


def recognize(
    path: str | os.PathLike[str], settings: Iterable[str] = (), name: str | None = None
) -> Recognized:
    """Make a model of published weights.

    Class names are taken from a Hugging Face `config.json` beside the file, if it has as many as the model
    has classes; else they are those that the number of classes suggests.

    Args:
        path: a file of `torch.save` or safetensors.
        settings: `path=value` corrections of the description, for what weights do not tell.
        name: what errors call it, and what may tell of the hop; the path if None.

    Raises:
        CheckpointError: the file is damaged, or holds no weights that earmark knows.
    """
    found = read_foreign(path)
    settings = tuple(settings)
    origin = Origin(name or os.fspath(path), found.notes)
    try:
        tagger = tagger_from_state(found.state, origin, settings)
    except CheckpointError:
        raise
    except Exception as error:  # shapes that contradict each other may trip a description anywhere
        raise CheckpointError(
            origin.name, f"its weights contradict each other ({type(error).__name__}: {error})"[:400]
        ) from None
    family = next(family.name for family in FAMILIES if family.recognizes(found.state))
    beside = Path(path).with_name("config.json")
    names = None if any(setting.startswith("labels") for setting in settings) else _names(beside)
    if names is None or len(names) != len(tagger.labels) or names == tagger.labels.names:
        return Recognized(tagger, family)
    tagger.config = tagger.config.replace(labels=LabelSet(names=names, exclusive=tagger.labels.exclusive))
    return Recognized(tagger, family, beside.name)


def _names(path: Path) -> tuple[str, ...] | None:
    """The names in a `config.json`, in the order of their numbers; None where it tells none.

    It is a courtesy: whatever is odd about it, the model is as usable without it.
    """
    try:
        with opened(path) as file:
            text = file.read(MAX_CONFIG_BYTES + 1)
        tree = json.loads(text) if len(text) <= MAX_CONFIG_BYTES else None
    except (CheckpointError, OSError, ValueError, RecursionError):
        return None
    table = cast(dict[str, Any], tree).get("id2label") if isinstance(tree, dict) else None
    if not isinstance(table, dict) or not table:
        return None
    numbered = cast(dict[str, Any], table)
    names = tuple(numbered.get(str(index)) for index in range(len(numbered)))
    if not all(isinstance(name, str) and 0 < len(name) <= MAX_LABEL and name.isprintable() for name in names):
        return None
    if all(name == f"LABEL_{index}" for index, name in enumerate(names)):  # Hugging Face's way to say nothing
        return None
    try:
        return LabelSet(names=cast(tuple[str, ...], names)).names
    except ConfigError:
        return None
