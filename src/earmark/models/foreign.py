"""A stranger's weights: tensors and a few texts are taken from the file, nothing else, and no code ever."""

import os
from collections.abc import Mapping
from io import BufferedReader
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from earmark.models.archive import MAGIC, MAX_ENTRIES, RefusedError, read_pickle
from earmark.models.pickle_scan import UnsafePickleError, scan
from earmark.models.tensor_file import (
    MAX_AXES,
    CheckpointError,
    check_finite,
    is_finite,
    opened,
    read_layout,
    read_tensors,
)

MAX_FILE_BYTES = 4 * 1024**3
MAX_NOTE = 1_000_000
MAX_NAME = 500
WRAPPERS = ("model", "state_dict", "model_state_dict")
PREFIXES = ("module.", "_orig_mod.", "net.", "net_swa.", "model.")
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
DTYPES = _FLOATS | {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}

Path = str | os.PathLike[str]


class Foreign(NamedTuple):
    """What is taken from a stranger's file.

    Attributes:
        state: dense, finite tensors on the CPU, each with memory of its own, by name.
        notes: texts that stood beside the weights, by name.
    """

    state: dict[str, Tensor]
    notes: dict[str, str]


def read_state_dict(path: Path) -> dict[str, Tensor]:
    """The weights alone; see `read_foreign`."""
    return read_foreign(path).state


def read_foreign(path: Path) -> Foreign:
    """Read the weights of a file of `torch.save` or safetensors, and the texts beside them.

    Which of the two it is, its bytes tell and not its name.  Wrappers such as `state_dict` are taken off, and
    prefixes such as `module.` where all names have them.  Of a training checkpoint that holds a net and its
    average (`net.`, `net_swa.`), the average is taken.

    Args:
        path: a safetensors file, or a zip archive as torch writes it since version 1.6; at most 4 GiB.

    Raises:
        CheckpointError: whatever is wrong with it; nothing in the file was executed.
    """
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_FILE_BYTES:
            raise CheckpointError(path, f"has {size} bytes; {MAX_FILE_BYTES} are allowed")
        if file.peek(len(MAGIC)).startswith(MAGIC):
            return _read_zip(path, file, size)
        return _read_safetensors(path, file)


def _read_safetensors(path: Path, file: BufferedReader) -> Foreign:
    state = read_tensors(path, file, read_layout(path, file))
    check_finite(path, state)
    try:
        return Foreign(_strip(state), {})
    except RefusedError as error:
        raise CheckpointError(path, str(error)) from None


def _read_zip(path: Path, file: BufferedReader, size: int) -> Foreign:
    if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "0").lower() in ("1", "y", "yes", "true"):
        raise CheckpointError(
            path,
            "is not read while TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set, which lets files run code; unset it",
        )
    try:
        scan(read_pickle(file, size))
        file.seek(0)
        tree = torch.load(file, map_location="cpu", weights_only=True)
        state = _strip(_unwrap(tree))
        _check_tensors(state, size)
        return Foreign(_apart(state), _notes(tree))
    except UnsafePickleError as error:
        raise CheckpointError(path, f"is refused: {error}") from None
    except Exception as error:  # a damaged file makes zipfile, pickle and torch raise anything
        raise CheckpointError(path, _reason(error)) from None


def _apart(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each tensor in memory of its own; it is copied only where others, or other numbers, lie beside it."""
    taken: set[int] = set()
    apart: dict[str, Tensor] = {}
    for name, tensor in state.items():
        whole = tensor.untyped_storage()
        alone = tensor.is_contiguous() and whole.nbytes() == tensor.nbytes and whole.data_ptr() not in taken
        taken.add(whole.data_ptr())
        apart[name] = tensor.detach() if alone else tensor.detach().clone().contiguous()
    return apart


def _reason(error: Exception) -> str:
    if isinstance(error, RefusedError):
        return str(error)
    first = f"{error}".strip().partition("\n")[0][:200]
    return f"cannot be read as weights; it is cut off or damaged ({type(error).__name__}: {first})"


def _notes(tree: object) -> dict[str, str]:
    """Short texts at the top of what was saved: a configuration, mostly."""
    pairs = cast(dict[object, object], tree).items() if isinstance(tree, dict) else ()
    return {
        name: text
        for name, text in pairs
        if isinstance(name, str) and isinstance(text, str) and len(text) <= MAX_NOTE
    }


def _unwrap(tree: object) -> dict[str, Any]:
    """Take off the dictionaries that training code puts around a state dict."""
    for _ in range(len(WRAPPERS)):
        if not isinstance(tree, dict):
            break
        inner = [cast(object, tree[name]) for name in WRAPPERS if isinstance(tree.get(name), dict)]
        if not inner:
            break
        tree = inner[0]
    if not isinstance(tree, dict) or not tree:
        raise RefusedError(f"holds no state dict but an empty or foreign value ({type(tree).__name__})")
    values = cast(dict[object, Any], tree)
    state = {name: value for name, value in values.items() if isinstance(name, str)}
    if len(values) > MAX_ENTRIES or len(state) < len(values):
        raise RefusedError(f"holds {len(values)} values; at most {MAX_ENTRIES} are allowed, each with a name")
    return state


def _strip(state: Mapping[str, Any]) -> dict[str, Any]:
    """Take off the prefixes that wrapping modules put before every name.

    Raises:
        RefusedError: a name is longer than any parameter's.

    Example:
        >>> _strip({"module.net.norm.bias": 1, "module.net.norm.weight": 2})
        {'norm.bias': 1, 'norm.weight': 2}
    """
    if any(len(name) > MAX_NAME for name in state):
        raise RefusedError(f"has a name of more than {MAX_NAME} characters")
    average = {name: value for name, value in state.items() if name.startswith("net_swa.")}
    plain = average or {name: value for name, value in state.items() if name != "device_proxy"}
    while common := [p for p in PREFIXES if plain and all(name.startswith(p) for name in plain)]:
        plain = {name.removeprefix(common[0]): value for name, value in plain.items()}
    return plain


def _check_tensors(state: Mapping[str, Any], size: int) -> None:
    """Refuse what is no dense, finite tensor within the bytes of the file."""
    for name, tensor in state.items():
        if type(tensor) not in (Tensor, nn.Parameter):
            raise RefusedError(f"holds {name!r:.100}, which is no tensor but {type(tensor).__name__}")
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.dtype not in DTYPES:
            raise RefusedError(f"{name!r:.100} is no dense tensor of plain numbers")
        if tensor.ndim > MAX_AXES or not all(0 < n <= MAX_FILE_BYTES for n in tensor.shape):
            raise RefusedError(f"{name!r:.100} has a shape that no weights have")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise RefusedError(f"{name!r:.100} claims {tensor.numel()} numbers, more than are stored for it")
    total = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if total > 2 * size:  # tied weights may stand twice; a thousand views of one stretch may not
        raise RefusedError(f"has {size} bytes but its tensors claim {total}")
    bad = [name for name, tensor in state.items() if not is_finite(tensor)]
    if bad:
        raise RefusedError(f"holds NaN or infinite values in {len(bad)} tensors, first {bad[0]!r:.100}")
