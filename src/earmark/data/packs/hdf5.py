"""PaSST's packs: HDF5 files that hold clips as MP3 bytes, a row each, with their targets."""

import os
import stat
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from jaxtyping import Bool

from earmark.audio import AudioError
from earmark.config import ConfigError
from earmark.data.clips import Clip
from earmark.storage import is_address, opened_file

SUFFIXES = (".hdf", ".hdf5", ".h5")
ROWS_AT_ONCE = 65536
MAX_BYTES = 1 << 28
"""Of one clip."""


def read_pack(path: Path, names: tuple[str, ...]) -> list[Clip]:
    """The clips of a pack, in its order.

    Args:
        path: an HDF5 file with the datasets `mp3` and `target`.
        names: the labels in the order of the target's columns.

    Returns:
        Clips that the sounds of this room read; `row` is the place in the pack.

    Raises:
        ConfigError: it is no such pack, or its targets are for another number of labels; or h5py is missing.

    Source:
        The packs of PaSST (Koutini et al., arXiv:2110.05069).  `target` holds bits, eight a byte, the
        first label in the highest bit; or, for OpenMIC-2018, probabilities and then for each whether it is
        known, as float32: above one half a label holds, and where it is not known it is left out.
    """
    with _opened(path) as file:
        rows = _dataset(file, path, "mp3").shape[0]
        targets = _dataset(file, path, "target")
        if targets.ndim != 2 or targets.shape[0] != rows:
            raise ConfigError(
                f"{path}: {rows} sounds but targets of shape {targets.shape}; give one row each"
            )
        clips: list[Clip] = []
        for start in range(0, rows, ROWS_AT_ONCE):
            holds, known = _decoded(path, targets[start : start + ROWS_AT_ONCE], len(names))
            for place, (row_holds, row_known) in enumerate(zip(holds, known, strict=True)):
                clips.append(
                    Clip(
                        path,
                        labels=tuple(names[i] for i in np.flatnonzero(row_holds & row_known)),
                        unknown=tuple(names[i] for i in np.flatnonzero(~row_known)),
                        row=start + place,
                    )
                )
    return clips


def _decoded(
    path: Path, targets: Any, n_classes: int
) -> tuple[Bool[np.ndarray, "row class"], Bool[np.ndarray, "row class"]]:
    """Where labels hold, and where that is known."""
    width = targets.shape[1]
    if targets.dtype.kind == "f" and width == 2 * n_classes:
        return targets[:, :n_classes] > 0.5, targets[:, n_classes:] > 0.5
    if targets.dtype != np.uint8 or width != -(-n_classes // 8):
        raise ConfigError(
            f"{path}: targets of {width} columns of {targets.dtype} are not for {n_classes} labels, which "
            f"take {-(-n_classes // 8)} of type uint8, or {2 * n_classes} of type float32"
        )
    bits = np.unpackbits(targets, axis=1).astype(bool)
    if bits[:, n_classes:].any():
        raise ConfigError(
            f"{path}: targets for more than {n_classes} labels; give the list that it was made with"
        )
    return bits[:, :n_classes], np.ones((len(bits), n_classes), dtype=bool)


def read_names(path: Path) -> list[str]:
    """What the clips of a pack are called, in its order; by their numbers where it does not say.

    Raises:
        ConfigError: it is no such pack; or h5py is missing.
    """
    with _opened(path) as file:
        rows = _dataset(file, path, "mp3").shape[0]
        if file.get("audio_name", getlink=True) is None:
            return [f"{index:09d}.mp3" for index in range(rows)]
        told = _dataset(file, path, "audio_name")[:]
        names = [name.decode("utf-8", "replace") if isinstance(name, bytes) else str(name) for name in told]
    return [*names, *(f"{index:09d}.mp3" for index in range(len(names), rows))][:rows]


def target_shape(path: Path) -> tuple[int, str]:
    """How many columns the targets of a pack have, and their type: what tells corpora apart.

    Raises:
        ConfigError: it is no such pack; or h5py is missing.
    """
    with _opened(path) as file:
        targets = _dataset(file, path, "target")
        return targets.shape[-1], str(targets.dtype)


def read_row(path: Path, row: int) -> bytes:
    """The bytes of one clip, an MP3 file.

    Files stay open, in each process its own.

    Raises:
        AudioError: the pack cannot be read, or has no such row.
        ConfigError: h5py is missing.
    """
    _library()
    try:
        sounds, _ = _kept_open(path, os.getpid())
        rows = sounds.shape[0]
        data = sounds[row] if 0 <= row < rows else None
    except (OSError, ValueError, KeyError, RuntimeError) as error:  # what h5py raises for damaged files
        raise AudioError(str(path), f"row {row} cannot be read: {error}") from None
    if data is None:
        raise AudioError(str(path), f"has {rows} rows; there is no row {row}")
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or not 0 < data.nbytes <= MAX_BYTES:
        raise AudioError(str(path), f"row {row} holds no sound")
    return data.tobytes()


@lru_cache(maxsize=64)
def _kept_open(
    path: Path, process: int
) -> tuple[Any, ExitStack]:  # the process is part of the key: handles do not survive a fork
    held = ExitStack()
    return _dataset(_open(path, held), path, "mp3"), held


@contextmanager
def _opened(path: Path) -> Generator[Any, None, None]:
    with ExitStack() as held:
        try:
            yield _open(path, held)
        except (OSError, KeyError, RuntimeError) as error:
            raise ConfigError(f"{path}: cannot be read as a pack of clips ({error})") from None


def _open(path: Path, held: ExitStack) -> Any:
    h5py = _library()
    try:
        if is_address(path):
            return held.enter_context(h5py.File(held.enter_context(opened_file(path)), "r"))
        if not stat.S_ISREG(path.stat().st_mode):
            raise ConfigError(f"{path} is no regular file; give a pack of clips")
        return held.enter_context(h5py.File(path, "r"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be opened as an HDF5 pack of clips ({error})") from None


def _library() -> ModuleType:
    try:
        import h5py  # optional, and slow to import
    except ImportError:
        raise ConfigError(
            'reading HDF5 packs needs h5py; install it with: pip install "earmark[data]"'
        ) from None
    return h5py


def _dataset(file: Any, path: Path, name: str) -> Any:
    """A dataset of the file itself: one that lies in other files could name any file of this machine."""
    h5py = _library()
    link = file.get(name, getlink=True)
    if link is None:
        raise ConfigError(f"{path} has no dataset {name!r}; a pack of clips has mp3 and target")
    if not isinstance(link, h5py.HardLink):
        raise ConfigError(
            f"{path}: {name!r} is a link to another place; only sound in the file itself is read"
        )
    found = file[name]
    if not isinstance(found, h5py.Dataset) or found.ndim < 1:
        raise ConfigError(f"{path}: {name!r} is no dataset with rows")
    if found.external or found.is_virtual:
        raise ConfigError(f"{path}: {name!r} is kept in other files; only sound in the file itself is read")
    return found
