"""One safetensors file that describes itself: the marriage that a model is, and where it came from."""

import hashlib
import json
import os
from collections.abc import Mapping
from io import BufferedReader
from typing import Any, NamedTuple, cast

import torch

from earmark.config import ConfigError
from earmark.files import commit
from earmark.models.archive import MAGIC
from earmark.models.tagger import Tagger, TaggerConfig
from earmark.models.tensor_file import (
    DTYPES,
    CheckpointError,
    Layout,
    check_finite,
    opened,
    read_layout,
    read_tensors,
    write_tensors,
)

__all__ = ["CheckpointError", "Header", "is_ours", "load_checkpoint", "read_header", "save"]

FORMAT = "earmark-1"
TEXTS = {"format", "config", "provenance", "digest"}


class Header(NamedTuple):
    """What a checkpoint says of itself without its weights being read.

    Attributes:
        config: the description of the model.
        provenance: recipe, corpus, epoch, scores, license, version: whatever the writer knew.
        shapes: the shape of each tensor, by name.
        whole: names of the tensors of whole numbers; the others are floating-point.
        digest: SHA-256 of description, provenance and tensors; None in files of the first days.
    """

    config: TaggerConfig
    provenance: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    whole: frozenset[str]
    digest: str | None = None


def save(
    tagger: Tagger,
    path: str | os.PathLike[str],
    provenance: dict[str, Any] | None = None,
    dtype: torch.dtype = torch.float32,
) -> None:
    """Write a model as one file, atomically.

    Args:
        tagger: the model; weights and buffers that belong to its state are written.
        path: where; the folder must exist.
        provenance: plain JSON values that say where the model came from.
        dtype: precision of floating-point tensors in the file; they are read back as float32.

    Raises:
        CheckpointError: a weight is NaN or infinite, in `dtype` at the latest, or of a type that checkpoints
            do not hold; nothing is written.
        OSError: the folder is missing, read-only or full; what was there stays.
    """
    state = {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in tagger.state_dict().items()
    }
    check_finite(path, state)
    texts = {
        "format": FORMAT,
        "config": tagger.config.to_json(),
        "provenance": json.dumps(provenance or {}, ensure_ascii=False),
    }
    codes = {known: code for code, known in DTYPES.items()}
    if strange := [name for name, tensor in state.items() if tensor.dtype not in codes]:
        raise CheckpointError(path, f"{strange[0]} is {state[strange[0]].dtype}, which no checkpoint holds")
    digest = _begun(texts, {name: (codes[t.dtype], tuple(t.shape)) for name, t in state.items()})
    for name in sorted(state):
        digest.update(state[name].reshape(-1).view(torch.uint8).numpy().data)
    with commit(path) as file:
        write_tensors(file, state, texts | {"digest": digest.hexdigest()})


def is_ours(path: str | os.PathLike[str]) -> bool:
    """Whether a file is a checkpoint of earmark's, by what is in it and not by its name.

    Raises:
        CheckpointError: it cannot be opened, or is neither a safetensors file nor a zip archive.
    """
    with opened(path) as file:
        if file.peek(len(MAGIC)).startswith(MAGIC):
            return False
        return not TEXTS.isdisjoint(read_layout(path, file).metadata)


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read what a checkpoint says of itself; its weights are not touched.

    Raises:
        CheckpointError: the file is missing, is no earmark checkpoint, or its header is damaged.
    """
    with opened(path) as file:
        return _read_header(path, file)[0]


def load_checkpoint(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Tagger:
    """Read a model; the names, shapes and types in the file must be exactly those of its description.

    Raises:
        CheckpointError: see `read_header`; or the weights do not fit the description, are not finite, or are
            not those that were written.
    """
    with opened(path) as file:
        header, layout = _read_header(path, file)
        try:
            tagger = Tagger(header.config, hollow=True)
        except (
            ValueError,
            RuntimeError,
            MemoryError,
        ) as error:  # each field is bounded; all together may not fit
            raise CheckpointError(path, f"its description cannot be built: {error}"[:400]) from None
        wanted = tagger.state_dict()
        _check_shapes(path, header.shapes, {name: tuple(t.shape) for name, t in wanted.items()})
        swapped = header.whole ^ {name for name, t in wanted.items() if not t.is_floating_point()}
        if swapped:
            raise CheckpointError(
                path, f"{min(swapped)} is of the wrong type: whole numbers for floating-point or back"
            )
        digest = _begun(layout.metadata, {name: entry[:2] for name, entry in layout.entries.items()})
        tensors = read_tensors(path, file, layout, digest.update)
    check_finite(path, tensors)
    if header.digest not in (None, digest.hexdigest()):
        raise CheckpointError(path, "is damaged: its digest is not that of what it holds")
    state = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    tagger.load_state_dict(state, strict=True, assign=True)
    for parameter in tagger.parameters():
        parameter.requires_grad_(True)
    return tagger.to(device).eval()


def _begun(texts: Mapping[str, str], entries: Mapping[str, tuple[str, tuple[int, ...]]]) -> Any:
    """The digest of all but the tensors' bytes, which follow in the order of the names."""
    named = [(name, *entries[name]) for name in sorted(entries)]
    told = [texts.get(name) for name in ("format", "config", "provenance")]
    return hashlib.sha256(json.dumps([told, named]).encode())


def _read_header(path: str | os.PathLike[str], file: BufferedReader) -> tuple[Header, Layout]:
    layout = read_layout(path, file)
    texts = layout.metadata
    if texts.get("format") != FORMAT:
        raise CheckpointError(path, f"is not an earmark checkpoint: its header has no format {FORMAT!r}")
    if strange := sorted(texts.keys() - TEXTS):
        raise CheckpointError(
            path, f"its header holds {strange[0]!r:.100}; it is damaged, or from a later earmark"
        )
    try:
        config = TaggerConfig.from_json(texts.get("config", ""))
        provenance = json.loads(texts.get("provenance", "{}"))
    except (ConfigError, ValueError, RecursionError) as error:
        raise CheckpointError(path, f"its description cannot be built: {error}") from None
    if not isinstance(provenance, dict):
        raise CheckpointError(path, "its provenance is no table of names and values")
    shapes = {name: entry.shape for name, entry in layout.entries.items()}
    whole = frozenset(name for name, entry in layout.entries.items() if entry.dtype == "I64")
    return Header(config, cast(dict[str, Any], provenance), shapes, whole, texts.get("digest")), layout


def _check_shapes(
    path: str | os.PathLike[str], found: dict[str, tuple[int, ...]], wanted: dict[str, tuple[int, ...]]
) -> None:
    differences = [f"{name} is missing" for name in wanted if name not in found]
    differences += [f"{name} is unknown" for name in found if name not in wanted]
    differences += [
        f"{name} is {found[name]} but must be {wanted[name]}"
        for name in wanted
        if name in found and found[name] != wanted[name]
    ]
    if differences:
        more = f" (and {len(differences) - 5} more)" if len(differences) > 5 else ""
        raise CheckpointError(
            path, "the weights do not fit the description: " + "; ".join(differences[:5]) + more
        )
