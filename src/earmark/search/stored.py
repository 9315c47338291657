"""A file of embeddings, read back as one matrix."""

import json
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float
from safetensors import SafetensorError, safe_open

from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.inference.arrays import COLUMNS
from earmark.inference.parquet import opened_parquet
from earmark.inference.parts import parts_of
from earmark.storage import is_folder

DAMAGES = (OSError, EOFError, ValueError, LookupError, TypeError, zipfile.BadZipFile, SafetensorError)


class Stored(NamedTuple):
    """What a file of embeddings holds; sources that failed are not among its rows.

    Attributes:
        vectors: one for each row.
        paths: the source of each row.
        starts: where each begins, in seconds.
        ends: where each ends, in seconds.
        about: the model and the settings that made them; empty in files that do not say it.
    """

    vectors: Float[np.ndarray, "row dim"]
    paths: list[str]
    starts: Float[np.ndarray, "row"]
    ends: Float[np.ndarray, "row"]
    about: dict[str, Any]


def read_stored(path: Path) -> Stored:
    """Read embeddings that `earmark embed` wrote: .npz, .safetensors, .parquet or a folder of parts.

    Raises:
        ConfigError: it is no such file, or holds no vector.
    """
    readers = {".npz": _from_npz, ".safetensors": _from_safetensors, ".parquet": _from_parquet}
    name = displayable(path)
    suffix = ".parquet" if is_folder(path) else path.suffix.lower()
    if suffix not in readers:
        raise ConfigError(
            f"{name}: give embeddings that `earmark embed` wrote, {', '.join(readers)} or a folder"
        )
    try:
        stored = readers[suffix](path)
    except DAMAGES as error:
        raise ConfigError(f"{name}: are no embeddings of `earmark embed` ({error})") from None
    if not isinstance(stored.about, dict):  # pyright: ignore[reportUnnecessaryIsInstance] (it was read)
        raise ConfigError(f"{name}: says not what made it; embed anew")
    if stored.vectors.ndim != 2 or not stored.vectors.size:
        raise ConfigError(f"{name}: there is no vector in it")
    rows = len(stored.vectors)
    if not len(stored.paths) == len(stored.starts) == len(stored.ends) == rows:
        raise ConfigError(f"{name}: {rows} vectors, and another number of places; embed anew")
    if not np.isfinite(stored.vectors).all():
        raise ConfigError(f"{name}: there are vectors that are not finite; embed anew")
    return stored


def _from_npz(path: Path) -> Stored:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as data:
        about = json.loads(str(data["about"])) if "about" in data else {}
        vectors = data["embedding"].astype(np.float32, copy=False)
        return Stored(vectors, data["path"].tolist(), data["start"], data["end"], about)


def _from_safetensors(path: Path) -> Stored:
    with safe_open(path, "numpy") as data:
        told = data.metadata() or {}
        sources = json.loads(told["paths"])
        return Stored(
            data.get_tensor("embedding").astype(np.float32, copy=False),
            [sources[index] for index in data.get_tensor("file")],
            data.get_tensor("start"),
            data.get_tensor("end"),
            json.loads(told.get("about", "{}")),
        )


def _from_parquet(path: Path) -> Stored:
    about: dict[str, Any] = {}
    vectors: list[np.ndarray] = []
    paths: list[str] = []
    times: list[np.ndarray] = []
    for part in parts_of(path):
        with opened_parquet(part, COLUMNS) as file:
            about = json.loads((file.schema_arrow.metadata or {}).get(b"earmark", b"{}"))
            for batch in file.iter_batches(4096):
                heard = batch.filter(batch.column("error").is_null())
                if len(heard):
                    lists = heard.column("embedding")
                    vectors.append(lists.flatten().to_numpy(zero_copy_only=False).reshape(len(heard), -1))
                    paths += heard.column("path").to_pylist()
                    times.append(np.array([heard.column(name).to_numpy() for name in ("start", "end")]))
    matrix = np.concatenate(vectors) if vectors else np.zeros((0, 0), np.float32)
    starts, ends = np.concatenate(times, axis=1) if times else np.zeros((2, 0))
    return Stored(matrix, paths, starts, ends, about)
