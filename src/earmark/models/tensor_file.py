"""A safetensors file, read with suspicion: names, types, shapes and offsets are checked before any weight."""

import json
import math
import os
import stat
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from typing import Any, BinaryIO, NamedTuple, cast

import torch
from jaxtyping import Shaped
from torch import Tensor

from earmark.onnx_file import ONLY_TAGS, is_onnx

MAX_HEADER_BYTES = 16 * 1024**2
MAX_HEADER_PARTS = 1_000_000
MAX_TENSORS = 20_000
MAX_AXES = 8
MAX_FILE_BYTES = 64 * 1024**3
DTYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "I64": torch.int64}

NEITHER = (
    "is not a safetensors file, and not a zip archive as torch.save writes it since version 1.6, or it is "
    "cut off; if you trust an older file, read it with torch.load(weights_only=True) and save it again"
)

Path = str | os.PathLike[str]


class CheckpointError(ValueError):
    """A checkpoint that cannot be read or written; the sentence names the file and the reason."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(str(path), reason)
        self.path, self.reason = str(path), reason

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


class Entry(NamedTuple):
    """One tensor of a file.

    Attributes:
        dtype: a key of `DTYPES`.
        shape: of the tensor.
        start: its first byte, counted from the end of the header.
        stop: the byte behind its last.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


class Layout(NamedTuple):
    """What a header says.

    Attributes:
        metadata: texts about the file as a whole, by name.
        entries: the tensors by name, sorted by name.
        begin: where in the file the tensors' bytes begin.
    """

    metadata: dict[str, str]
    entries: dict[str, Entry]
    begin: int


@contextmanager
def opened(path: Path) -> Generator[BufferedReader, None, None]:
    """Open a regular file; a pipe or a device must neither block nor be read.

    Raises:
        CheckpointError: it is no regular file, or cannot be opened.
    """
    if is_onnx(path):
        raise CheckpointError(path, ONLY_TAGS)
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    try:
        file = os.fdopen(os.open(path, flags), "rb")
    except (OSError, ValueError) as error:
        raise CheckpointError(path, f"cannot be opened ({getattr(error, 'strerror', error)})") from None
    with file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise CheckpointError(path, "is not a regular file")
        yield file


def read_layout(path: Path, file: BufferedReader) -> Layout:
    """Read a file's header and check it against the bytes that are there.

    Args:
        path: what errors call it.
        file: the file, at its start.

    Raises:
        CheckpointError: it is no safetensors file, cut off or damaged; or its tensors are of other types than
            `DTYPES`, too many, overlap or leave holes.
    """
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(8), "little")
    if size < 8 or size > MAX_FILE_BYTES or not 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
        raise CheckpointError(path, NEITHER)
    text = file.read(length)
    if sum(text.count(part) for part in (b"{", b"[", b",")) > MAX_HEADER_PARTS:
        raise CheckpointError(path, f"has a header of more than {MAX_HEADER_PARTS} parts")
    try:
        tree = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(path, f"its header is damaged ({error})") from None
    if not isinstance(tree, dict):
        raise CheckpointError(path, "its header is damaged: it is no table of names")
    entries = cast(dict[str, Any], tree)
    metadata = entries.pop("__metadata__", {})
    if not isinstance(metadata, dict) or not all(
        isinstance(value, str) for value in cast(dict[str, Any], metadata).values()
    ):
        raise CheckpointError(path, "its header is damaged: its metadata is no table of texts")
    if len(entries) > MAX_TENSORS:
        raise CheckpointError(path, f"holds {len(entries)} tensors; {MAX_TENSORS} are allowed")
    checked = {name: _entry(path, name, entries[name]) for name in sorted(entries)}
    _check_cover(path, checked, size - 8 - length)
    return Layout(cast(dict[str, str], metadata), checked, 8 + length)


def read_tensors(
    path: Path, file: BufferedReader, layout: Layout, see: Callable[[memoryview], object] | None = None
) -> dict[str, Tensor]:
    """Read every tensor into memory of its own, in the order of their names.

    Args:
        path: what errors call the file.
        file: the file that `layout` was read from.
        layout: where the tensors are.
        see: is shown each tensor's bytes once, in that order; for a digest.

    Raises:
        CheckpointError: a value is NaN or infinite, or the file has become shorter.
    """
    tensors: dict[str, Tensor] = {}
    for name, entry in layout.entries.items():
        raw = torch.empty(entry.stop - entry.start, dtype=torch.uint8)
        view = raw.numpy().data
        file.seek(layout.begin + entry.start)
        if file.readinto(view) != len(view):
            raise CheckpointError(path, f"ends in the middle of {name!r:.100}")
        if see is not None:
            see(view)
        tensors[name] = raw.view(DTYPES[entry.dtype]).reshape(entry.shape)
    return tensors


def write_tensors(file: BinaryIO, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file whose bytes depend on nothing but what is in it.

    The format's own library writes the texts in a random order, so that equal models are not equal files.

    Args:
        file: where to.
        tensors: contiguous and on the CPU, of the types in `DTYPES`.
        metadata: texts about the file as a whole.
    """
    codes = {known: code for code, known in DTYPES.items()}
    order = sorted(tensors, key=lambda name: (-tensors[name].element_size(), name))  # each is aligned
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items()))}
    end = 0
    for name in order:
        begin, end = end, end + tensors[name].numel() * tensors[name].element_size()
        shape, code = list(tensors[name].shape), codes[tensors[name].dtype]
        header[name] = {"dtype": code, "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for name in order:
        file.write(tensors[name].reshape(-1).view(torch.uint8).numpy().data)


def check_finite(path: Path, tensors: dict[str, Tensor]) -> None:
    """Refuse weights that are NaN or infinite.

    Raises:
        CheckpointError: some are; the first is named.
    """
    bad = [name for name, tensor in tensors.items() if not is_finite(tensor)]
    if bad:
        raise CheckpointError(path, f"{len(bad)} tensors hold NaN or infinite values, first {bad[0]!r:.100}")


def is_finite(tensor: Shaped[Tensor, "..."]) -> bool:
    """Whether no value is NaN or infinite; only where the sum is not, each value is looked at."""
    return bool(torch.isfinite(tensor.sum())) or bool(torch.isfinite(tensor).all())


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    tree = dict(pairs)
    if len(tree) != len(pairs):
        raise ValueError("a name stands twice")
    return tree


def _entry(path: Path, name: str, found: object) -> Entry:
    """One entry, if it is in itself consistent."""
    if isinstance(found, dict) and found.keys() == {"dtype", "shape", "data_offsets"}:
        fields = cast(dict[str, Any], found)
        dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
        if isinstance(dtype, str) and dtype in DTYPES and _are_counts(shape) and _are_counts(offsets):
            n_bytes = math.prod(shape) * DTYPES[dtype].itemsize
            fits = len(shape) <= MAX_AXES and math.prod(n or 1 for n in shape) <= MAX_FILE_BYTES
            if fits and len(offsets) == 2 and offsets[1] - offsets[0] == n_bytes:
                return Entry(dtype, tuple(shape), offsets[0], offsets[1])
    raise CheckpointError(
        path, f"the entry of {name!r:.100} is damaged, or of a type other than {', '.join(DTYPES)}"
    )


def _are_counts(values: object) -> bool:
    """Whether a value is a list of whole numbers that a file could hold; True and False are none."""
    if not isinstance(values, list):
        return False
    return all(type(n) is int and 0 <= n <= MAX_FILE_BYTES for n in cast(list[object], values))


def _check_cover(path: Path, entries: dict[str, Entry], n_bytes: int) -> None:
    """Refuse tensors that overlap, leave holes or do not end where the file does."""
    end = 0
    for entry in sorted(entries.values(), key=lambda entry: (entry.start, entry.stop)):
        if entry.start != end:
            raise CheckpointError(path, "its tensors overlap or leave holes; it is damaged")
        end = entry.stop
    if end != n_bytes:
        raise CheckpointError(
            path, f"holds {n_bytes} bytes of weights but describes {end}; it is cut off or damaged"
        )
