"""Predictions as files: npz for programs, Parquet for tables; read back and checked."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any, cast

import numpy as np

from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.evaluation.predictions import Predictions
from earmark.files import commit
from earmark.inference.tables import pyarrow
from earmark.labels import LabelSet

FORMAT = "earmark-predictions-1"
SUFFIXES = (".npz", ".parquet")
ARRAYS = {"logits": "f", "scores": "f", "targets": "b", "known": "b", "heard": "b"}


def is_predictions(name: str) -> bool:
    """Whether a name is that of stored predictions, by its suffix.

    Example:
        >>> is_predictions("runs/a/predictions.npz"), is_predictions("mn04.as2m")
        (True, False)
    """
    return Path(name).suffix.lower() in SUFFIXES


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write predictions, atomically, in the format that the suffix says.

    An `.npz` holds the arrays of `Predictions` by name and, as `about`, JSON in UTF-8 with all that is
    text.  A `.parquet` has a row for each clip, and the same JSON in its schema.

    Raises:
        ConfigError: the suffix is another, or a package is missing.
        OSError: it cannot be written; what was there stays.
    """
    if not is_predictions(path.name):
        raise ConfigError(f"predictions are kept as {' or '.join(SUFFIXES)}, not as {path.name!r}")
    text = json.dumps(_texts(predictions))
    arrays = {name: getattr(predictions, name) for name in ARRAYS}
    buffer = io.BytesIO()
    if path.suffix.lower() == ".npz":
        np.savez_compressed(buffer, about=np.frombuffer(text.encode(), dtype=np.uint8), **arrays)
    else:
        arrow, parquet = pyarrow()
        columns: dict[str, Any] = {"clip": list(predictions.names)}
        columns |= {name: arrow.array(list(array)) for name, array in arrays.items()}
        table = arrow.table(columns).replace_schema_metadata({"earmark": text})
        parquet.write_table(table, buffer)
    with commit(path) as file:
        file.write(buffer.getbuffer())


def read_predictions(path: Path) -> Predictions:
    """Read predictions.

    Raises:
        ConfigError: there is no such file, it is damaged, or none of ours.
    """
    try:
        text, arrays = _from_npz(path) if path.suffix.lower() == ".npz" else _from_parquet(path)
        texts = json.loads(text)
        if not isinstance(texts, dict) or cast(dict[str, Any], texts).get("format") != FORMAT:
            raise ValueError("it does not say that it holds predictions")
        found = _assembled(cast(dict[str, Any], texts), arrays)
    except FileNotFoundError:
        raise ConfigError(f"{displayable(path)}: there is no such file") from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile, MemoryError) as error:
        raise ConfigError(
            f"{displayable(path)}: is damaged, or holds no predictions of earmark's ({error})"[:400]
        ) from None
    _check(path, found)
    return found


def _texts(predictions: Predictions) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "names": predictions.names,
        "groups": predictions.groups,
        "labels": predictions.labels.to_dict(),
        "classes": predictions.classes.to_dict(),
        "failures": predictions.failures,
        "about": predictions.about,
    }


def _from_npz(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return bytes(archive["about"]).decode(), {name: archive[name] for name in ARRAYS}


def _from_parquet(path: Path) -> tuple[str, dict[str, np.ndarray]]:
    arrow, parquet = pyarrow()
    try:
        table = parquet.read_table(path)
    except arrow.ArrowException as error:
        raise ValueError(str(error)) from None
    text = (table.schema.metadata or {})[b"earmark"].decode()
    return text, {name: _array(name, table[name].to_pylist()) for name in ARRAYS}


def _array(name: str, rows: list[Any]) -> np.ndarray:
    return np.array(rows, dtype=np.float32 if ARRAYS[name] == "f" else np.bool_)


def _assembled(texts: dict[str, Any], arrays: dict[str, np.ndarray]) -> Predictions:
    for name, array in arrays.items():
        if array.dtype.kind != ARRAYS[name]:
            raise ValueError(f"{name} is of type {array.dtype}")
    return Predictions(
        names=tuple(map(str, texts["names"])),
        groups=tuple(map(str, texts["groups"])),
        labels=LabelSet.from_dict(texts["labels"]),
        classes=LabelSet.from_dict(texts["classes"]),
        failures=tuple(map(str, texts["failures"])),
        about=dict(texts["about"]),
        **cast(dict[str, Any], arrays),
    )


def _check(path: Path, found: Predictions) -> None:
    """Refuse arrays that do not fit to one another, and labels that the model does not have."""
    clips, labels, classes = len(found.names), len(found.labels), len(found.classes)
    wanted = {
        "logits": (clips, labels),
        "scores": (clips, labels),
        "targets": (clips, classes),
        "known": (clips, classes),
        "heard": (clips,),
    }
    for name, shape in wanted.items():
        if getattr(found, name).shape != shape:
            raise ConfigError(
                f"{displayable(path)}: {name} is {getattr(found, name).shape} but {clips} clips, {labels} "
                "labels "
                f"and {classes} classes need {shape}; the file is damaged"
            )
    if not clips or len(found.groups) != clips or not set(found.classes.names) <= set(found.labels.names):
        raise ConfigError(f"{displayable(path)}: its clips or labels do not fit together; it is damaged")
    for name in ("logits", "scores"):
        bad = ~np.isfinite(getattr(found, name)).all(axis=1)
        if bad.any():
            raise ConfigError(
                f"{displayable(path)}: the {name} of {int(bad.sum())} clips are NaN or infinite, first of "
                f"{found.names[int(bad.argmax())]}; the model that gave them is damaged or has diverged"
            )
