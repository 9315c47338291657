"""`import_model`: a stranger's weights become a checkpoint of ours, under a name or in a file."""

import hashlib
import os
import re
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from earmark.config import ConfigError
from earmark.fetching import alone
from earmark.models.catalog import ENSEMBLE_BY_NAME
from earmark.models.checkpoint import is_ours, load_checkpoint, read_header, save
from earmark.models.conversion import CONVERTER
from earmark.models.recognized import Recognized, recognize
from earmark.models.tensor_file import CheckpointError, opened
from earmark.models.zoo import NAMES, imported_path, in_folder


class Imported(NamedTuple):
    """A model that was imported.

    Attributes:
        name: what `earmark.load` takes; None if it was written to a file of the caller's.
        path: where it is kept.
        recognized: the model, and what it was recognized as.
    """

    name: str | None
    path: Path
    recognized: Recognized


def import_model(
    source: str | os.PathLike[str],
    name: str | None = None,
    settings: Iterable[str] = (),
    out: str | os.PathLike[str] | None = None,
) -> Imported:
    """Convert a file of published weights to a checkpoint of ours, atomically.

    Args:
        source: a file of `torch.save` or safetensors, or a folder with one; what it holds is recognized by
            its names and shapes.  A checkpoint of ours gets a name.
        name: what `earmark.load` shall know it by; made of the file's name if None.  The same file may be
            imported again under its name, with other settings.
        settings: `path=value` corrections of the description, for what weights do not tell, such as
            `frontend.hop_length=160`.
        out: a .safetensors file to write instead of keeping the model under a name.

    Raises:
        ConfigError: the name cannot be had, or `out` makes no sense.
        CheckpointError: the file is damaged, or holds no weights that earmark knows; code in it is never run.
    """
    path, settings = in_folder(Path(source)), tuple(settings)
    if out is None:
        name = _free(_name_of(Path(source)) if name is None else name)
        target = imported_path(name) or Path()
    else:
        target = _writable(path, Path(out), name)
    recognized, provenance = _read(path, settings)
    provenance["source_sha256"] = _digest(path)
    try:
        if out is None:
            target.parent.mkdir(parents=True, exist_ok=True)
            with alone(target):
                _check_taken(target, provenance["source_sha256"])
                save(recognized.tagger, target, provenance)
        else:
            save(recognized.tagger, target, provenance)
    except OSError as error:
        raise CheckpointError(target, f"cannot be written: {error.strerror or error}") from None
    return Imported(name if out is None else None, target, recognized)


def _read(path: Path, settings: tuple[str, ...]) -> tuple[Recognized, dict[str, Any]]:
    """The model, and where it came from."""
    facts: dict[str, Any] = {"imported_from": path.name, "earmark": _version()}
    if not is_ours(path):
        found = recognize(path, settings)
        return found, {**facts, "family": found.family, "settings": list(settings), "converter": CONVERTER}
    if settings:
        raise ConfigError(
            f"{path} is a checkpoint of earmark's, which describes itself; --set is for weights that do not"
        )
    return Recognized(load_checkpoint(path), "earmark"), {**read_header(path).provenance, **facts}


def _name_of(source: Path) -> str:
    """A name made of a file's, or of its folder's where all files are called alike.

    Example:
        >>> _name_of(Path("weights/my model (2).pt"))
        'my-model-2'
    """
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", source.resolve().name if source.is_dir() else source.stem)
    return plain.strip("._-")[:100].rstrip("._-") or "imported"


def _free(name: str) -> str:
    """The name, if an imported model may have it."""
    if imported_path(name) is None:
        raise ConfigError(
            f"{name!r:.120} is no name for a model; it takes letters, digits, '.', '_' and '-', 100 at most, "
            "with a letter or digit first"
        )
    if name.casefold() in {known.casefold() for known in (*NAMES, *ENSEMBLE_BY_NAME)}:
        raise ConfigError(f"{name!r} is the name of another model; give one of your own with --as NAME")
    return name


def _check_taken(target: Path, digest: str) -> None:
    """Refuse to replace a model that came from another file."""
    if not target.exists():
        return
    try:
        provenance = read_header(target).provenance
    except CheckpointError as error:
        raise CheckpointError(target, f"{error.reason}; delete it, or import under another name") from None
    if provenance.get("source_sha256") != digest:
        raise ConfigError(
            f"{target.stem!r} is the name of a model that came from another file "
            f"({provenance.get('imported_from')}); give another name with --as NAME, or delete {target}"
        )


def _writable(source: Path, out: Path, name: str | None) -> Path:
    if name is not None:
        raise ConfigError("--as keeps the model under a name and --out writes a file; give one of the two")
    if out.suffix.lower() != ".safetensors":
        raise ConfigError(f"{out} does not end in .safetensors, which is what is written")
    if out.exists() and source.exists() and out.samefile(source):
        raise ConfigError(f"{source} would be replaced by its own conversion; give another --out")
    return out


def _version() -> str:
    try:
        return version("earmark")
    except PackageNotFoundError:
        return "from a folder of sources"


def _digest(path: Path) -> str:
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
