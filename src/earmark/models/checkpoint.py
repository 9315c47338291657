"""One safetensors file that describes itself: the marriage that a model is, and where it came from."""

import json
import os
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from earmark.config import ConfigError
from earmark.files import commit
from earmark.models.tagger import Tagger, TaggerConfig

FORMAT = "earmark-1"
MAX_HEADER_BYTES = 16 * 1024 * 1024
MAX_TENSORS = 20_000
MAX_FILE_BYTES = 64 * 1024**3
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or written; the sentence names the file and the reason."""

    def __init__(self, path: str | os.PathLike[str], reason: str) -> None:
        super().__init__(str(path), reason)
        self.path, self.reason = str(path), reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Header(NamedTuple):
    """What a checkpoint says of itself without its weights being read.

    Attributes:
        config: the description of the model.
        provenance: recipe, corpus, epoch, scores, licence, version: whatever the writer knew.
        shapes: the shape of each tensor, by name.
        whole: names of the tensors of whole numbers; the others are floating-point.
    """

    config: TaggerConfig
    provenance: dict[str, Any]
    shapes: dict[str, tuple[int, ...]]
    whole: frozenset[str]


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
        CheckpointError: a weight is NaN or infinite, in `dtype` at the latest; nothing is written.
        OSError: the folder is missing, read-only or full; what was there stays.
    """
    state = {
        name: (tensor.to(dtype) if tensor.is_floating_point() else tensor).detach().cpu().contiguous()
        for name, tensor in tagger.state_dict().items()
    }
    _check_finite(path, state)
    header = {
        "format": FORMAT,
        "config": tagger.config.to_json(),
        "provenance": json.dumps(provenance or {}, ensure_ascii=False),
    }
    with commit(path) as file:
        file.write(save_tensors(state, metadata=header))


def read_header(path: str | os.PathLike[str]) -> Header:
    """Read what a checkpoint says of itself; its weights are not touched.

    Raises:
        CheckpointError: the file is missing, is no earmark checkpoint, or its header is damaged.
    """
    try:
        with Path(path).open("rb") as file:
            return _read_header(path, file)
    except OSError as error:
        raise CheckpointError(path, error.strerror or str(error)) from None


def load_checkpoint(path: str | os.PathLike[str], device: str | torch.device = "cpu") -> Tagger:
    """Read a model; the names, shapes and types in the file must be exactly those of its description.

    Raises:
        CheckpointError: see `read_header`; or the weights do not fit the description, or are not finite.
    """
    header = read_header(path)
    tagger = Tagger(header.config, hollow=True)
    wanted = tagger.state_dict()
    _check_shapes(path, header.shapes, {name: tuple(t.shape) for name, t in wanted.items()})
    swapped = header.whole ^ {name for name, tensor in wanted.items() if not tensor.is_floating_point()}
    if swapped:
        raise CheckpointError(
            path, f"{min(swapped)} is of the wrong type: whole numbers for floating-point or back"
        )
    try:
        tensors = load_tensors(Path(path).read_bytes())
    except (OSError, SafetensorError) as error:
        raise CheckpointError(path, f"cannot be read ({error})") from None
    _check_finite(path, tensors)
    state = {name: t.float() if t.is_floating_point() else t for name, t in tensors.items()}
    tagger.load_state_dict(state, strict=True, assign=True)
    for parameter in tagger.parameters():
        parameter.requires_grad_(True)
    return tagger.to(device).eval()


def _read_header(path: str | os.PathLike[str], file: BinaryIO) -> Header:
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or size > MAX_FILE_BYTES or not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
        raise CheckpointError(path, "is not a safetensors file, or it is cut off")
    try:
        tree = json.loads(file.read(length), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(path, f"its header is damaged ({error})") from None
    metadata = tree.pop("__metadata__", None) if isinstance(tree, dict) else None
    if not isinstance(metadata, dict) or metadata.get("format") != FORMAT:
        raise CheckpointError(path, f"is not an earmark checkpoint: its header has no format {FORMAT!r}")
    try:
        config = TaggerConfig.from_json(str(metadata.get("config")))
        provenance = json.loads(str(metadata.get("provenance", "{}")))
    except (ConfigError, ValueError, RecursionError) as error:
        raise CheckpointError(path, f"its description cannot be built: {error}") from None
    if not isinstance(provenance, dict):
        raise CheckpointError(path, "its provenance is no table of names and values")
    entries = cast(dict[str, Any], tree)
    shapes = _shapes(path, entries, size - 8 - length)
    whole = frozenset(name for name, entry in entries.items() if entry["dtype"] == "I64")
    return Header(config, cast(dict[str, Any], provenance), shapes, whole)


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError("a name stands twice")
    return tree


def _shapes(
    path: str | os.PathLike[str], tree: dict[str, Any], data_bytes: int
) -> dict[str, tuple[int, ...]]:
    """Shapes by name, after the entries were checked against the bytes that are there."""
    if len(tree) > MAX_TENSORS:
        raise CheckpointError(path, f"holds {len(tree)} tensors; {MAX_TENSORS} are allowed")
    shapes: dict[str, tuple[int, ...]] = {}
    end = 0
    for name, entry in tree.items():
        try:
            dtype, shape, (start, stop) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
            valid = dtype in DTYPES and all(isinstance(n, int) and 0 <= n < 2**40 for n in shape)
            valid = (
                valid
                and isinstance(start, int)
                and isinstance(stop, int)
                and 0 <= start <= stop <= data_bytes
            )
        except (TypeError, KeyError, ValueError):
            valid, dtype, shape, stop = False, None, (), 0
        if not valid:
            raise CheckpointError(
                path, f"the entry of {name!r} is damaged, or of a type other than {', '.join(DTYPES)}"
            )
        shapes[name] = shape
        end = max(end, stop)
    if end != data_bytes:
        raise CheckpointError(
            path, f"holds {data_bytes} bytes of weights but describes {end}; it is cut off or damaged"
        )
    return shapes


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


def _check_finite(path: str | os.PathLike[str], tensors: dict[str, Tensor]) -> None:
    bad = [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())]
    if bad:
        raise CheckpointError(path, f"{len(bad)} tensors hold NaN or infinite values, first {bad[0]!r}")
