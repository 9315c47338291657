"""A stranger's `.pt` or `.pth`: weights in, nothing else, and no code ever."""

import os
import stat
import zipfile
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any, BinaryIO, NamedTuple, cast

import torch
from torch import Tensor, nn

from earmark.models.checkpoint import CheckpointError
from earmark.models.pickle_scan import MAX_BYTES as MAX_PICKLE_BYTES
from earmark.models.pickle_scan import UnsafePickleError, scan

MAGIC = b"PK\x03\x04"
SUFFIXES = (".pt", ".pth", ".ckpt", ".bin")
MAX_FILE_BYTES = 4 * 1024**3
MAX_ENTRIES = 20_000
MAX_NOTE = 1_000_000
WRAPPERS = ("model", "state_dict", "model_state_dict")
PREFIXES = ("module.", "_orig_mod.", "net.", "net_swa.", "model.")
_FLOATS = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
DTYPES = _FLOATS | {torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64}

Path = str | os.PathLike[str]


def is_foreign(path: Path) -> bool:
    """Whether a file looks like one of `torch.save`, by its first bytes or its suffix.

    Raises:
        CheckpointError: it is no regular file, or cannot be opened.
    """
    if os.fspath(path).lower().endswith(SUFFIXES):
        return True
    with _opened(path) as file:
        return file.read(len(MAGIC)) == MAGIC


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
    """Read the weights of a file that `torch.save` wrote, and the texts beside them.

    Wrappers such as `state_dict` are taken off, and prefixes such as `module.` where all names have them.
    Of a training checkpoint that holds a net and its average (`net.`, `net_swa.`), the average is taken.

    Args:
        path: a zip archive as torch writes it since version 1.6, at most 4 GiB.

    Raises:
        CheckpointError: whatever is wrong with it; nothing in the file was executed.
    """
    if os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "0").lower() in ("1", "y", "yes", "true"):
        raise CheckpointError(
            path,
            "is not read while TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD is set, which lets files run code; unset it",
        )
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            _check_archive(file, size)
            file.seek(0)
            tree = torch.load(file, map_location="cpu", weights_only=True)
            state = _strip(_unwrap(tree))
            _check_tensors(state, size)
            copies = {name: tensor.detach().clone().contiguous() for name, tensor in state.items()}
            return Foreign(copies, _notes(tree))
        except UnsafePickleError as error:
            raise CheckpointError(path, f"is refused: {error}") from None
        except Exception as error:  # a damaged file makes zipfile, pickle and torch raise anything
            raise CheckpointError(path, _reason(error)) from None


class _RefusedError(ValueError):
    """A sentence about a foreign file, before the file's name is put to it."""


def _reason(error: Exception) -> str:
    if isinstance(error, _RefusedError):
        return str(error)
    first = f"{error}".strip().partition("\n")[0][:200]
    return f"cannot be read as weights; it is cut off or damaged ({type(error).__name__}: {first})"


@contextmanager
def _opened(path: Path) -> Generator[BinaryIO, None, None]:
    """Open a regular file; a pipe or a device must neither block nor be read."""
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        file = os.fdopen(os.open(path, flags), "rb")
    except (OSError, ValueError) as error:
        raise CheckpointError(path, f"cannot be opened ({getattr(error, 'strerror', error)})") from None
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise CheckpointError(path, "is not a regular file")
        yield file


def _check_archive(file: BinaryIO, size: int) -> None:
    """Refuse an archive that `torch.save` would not have written, before torch sees it."""
    if size > MAX_FILE_BYTES:
        raise _RefusedError(f"has {size} bytes; {MAX_FILE_BYTES} are allowed")
    if file.read(len(MAGIC)) != MAGIC:
        raise _RefusedError(
            "is not a safetensors file, and not a zip archive as torch.save writes it since version 1.6; if "
            "you trust an older file, read it with torch.load(weights_only=True) and save it again"
        )
    try:
        with zipfile.ZipFile(file) as archive:
            pickle_name = _check_entries(archive.infolist(), size)
            scan(archive.read(pickle_name))
            bad = archive.testzip()
    except zipfile.BadZipFile as error:
        raise _RefusedError(
            f"is not a safetensors file, and as a zip archive it is cut off or damaged ({error})"
        ) from None
    if bad is not None:
        raise _RefusedError(f"is damaged: the checksum of {bad!r} does not match")


def _check_entries(entries: list[zipfile.ZipInfo], size: int) -> str:
    """Check names and sizes; returns the name of the pickle."""
    if len(entries) > MAX_ENTRIES:
        raise _RefusedError(f"is an archive of {len(entries)} entries; {MAX_ENTRIES} are allowed")
    for entry in entries:
        if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
            raise _RefusedError(f"has the compressed entry {entry.filename!r}; torch.save compresses nothing")
        if entry.flag_bits & 1 or entry.filename != entry.orig_filename or not entry.filename.isprintable():
            raise _RefusedError(
                f"has an entry with the odd name {entry.orig_filename!r:.100}, or an encrypted one"
            )
    if sum(entry.file_size for entry in entries) > size:
        raise _RefusedError(f"has {size} bytes but its entries claim more; they overlap, or it is damaged")
    names = [entry.filename for entry in entries]
    if len({name.lower() for name in names}) != len(names):  # torch's reader does not tell cases apart
        raise _RefusedError("has two entries of the same name")
    folders = {name.partition("/")[0] for name in names}
    pickle_name = f"{folders.pop()}/data.pkl" if len(folders) == 1 else ""
    if pickle_name not in names:
        raise _RefusedError(
            "is a zip archive, but not one of torch.save: it has no data.pkl in its one folder"
        )
    if next(entry.file_size for entry in entries if entry.filename == pickle_name) > MAX_PICKLE_BYTES:
        raise _RefusedError(f"is refused: its pickle is larger than {MAX_PICKLE_BYTES} bytes")
    return pickle_name


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
        raise _RefusedError(f"holds no state dict but an empty or foreign value ({type(tree).__name__})")
    values = cast(dict[object, Any], tree)
    state = {name: value for name, value in values.items() if isinstance(name, str)}
    if len(values) > MAX_ENTRIES or len(state) < len(values):
        raise _RefusedError(
            f"holds {len(values)} values; at most {MAX_ENTRIES} are allowed, each with a name"
        )
    return state


def _strip(state: Mapping[str, Any]) -> dict[str, Any]:
    """Take off the prefixes that wrapping modules put before every name.

    Example:
        >>> _strip({"module.net.norm.bias": 1, "module.net.norm.weight": 2})
        {'norm.bias': 1, 'norm.weight': 2}
    """
    average = {name: value for name, value in state.items() if name.startswith("net_swa.")}
    plain = average or {name: value for name, value in state.items() if name != "device_proxy"}
    while common := [p for p in PREFIXES if plain and all(name.startswith(p) for name in plain)]:
        plain = {name.removeprefix(common[0]): value for name, value in plain.items()}
    return plain


def _check_tensors(state: Mapping[str, Any], size: int) -> None:
    """Refuse what is no dense, finite tensor within the bytes of the file."""
    for name, tensor in state.items():
        if type(tensor) not in (Tensor, nn.Parameter):
            raise _RefusedError(f"holds {name!r:.100}, which is no tensor but {type(tensor).__name__}")
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.dtype not in DTYPES:
            raise _RefusedError(f"{name!r:.100} is no dense tensor of plain numbers")
        if tensor.numel() * tensor.element_size() > tensor.untyped_storage().nbytes():
            raise _RefusedError(f"{name!r:.100} claims {tensor.numel()} numbers, more than are stored for it")
    total = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if total > 2 * size:  # tied weights may stand twice; a thousand views of one stretch may not
        raise _RefusedError(f"has {size} bytes but its tensors claim {total}")
    bad = [name for name, tensor in state.items() if not _is_finite(tensor)]
    if bad:
        raise _RefusedError(f"holds NaN or infinite values in {len(bad)} tensors, first {bad[0]!r:.100}")


def _is_finite(tensor: Tensor) -> bool:
    """Whether no value is NaN or infinite; only where the sum is not, each value is looked at."""
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())
