"""Models by name or file."""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import cast, overload

import torch
from platformdirs import user_cache_dir, user_data_dir

from earmark.config import ConfigError, did_you_mean
from earmark.models.catalog import BY_NAME, ENSEMBLE_BY_NAME, ENSEMBLES, PUBLISHED
from earmark.models.checkpoint import is_ours, load_checkpoint
from earmark.models.conversion import fetch_published
from earmark.models.ensemble import Ensemble
from earmark.models.precision import Precision, with_precision
from earmark.models.recognized import recognize
from earmark.models.tagger import Tagger

WEIGHTS = Path(__file__).parent.parent / "weights"
NAMES = ("builtin", *(entry.name for entry in PUBLISHED))
"""Models that `load` always knows.  `builtin` ships inside the package; others are fetched at first use."""

IN_FOLDERS = ("model.safetensors", "averaged.safetensors", "last.safetensors", "pytorch_model.bin")


@overload
def load(
    name_or_file: str | os.PathLike[str] = ...,
    *,
    device: str | torch.device = ...,
    precision: Precision = ...,
) -> Tagger:
    """One model."""


@overload
def load(
    name_or_file: Sequence[str | os.PathLike[str]],
    *,
    device: str | torch.device = ...,
    precision: Precision = ...,
) -> Ensemble:
    """Several models, heard as one."""


def load(
    name_or_file: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = "builtin",
    *,
    device: str | torch.device = "cpu",
    precision: Precision = "fp32",
) -> Tagger | Ensemble:
    """Load a model, ready to tag and embed.

    A published model is fetched once into the cache (the user's cache folder, or `EARMARK_CACHE`) and kept
    there as earmark's own checkpoint.  A stranger's file is recognized by its names and shapes.  What kind of
    file it is, its bytes tell and not its name.

    Args:
        name_or_file: a name (`builtin`, `passt-s.as2m-swa`; see `earmark models`) or that of an
            imported model, a checkpoint file, the folder of a training run, or a file of published weights.
            Or several: a list, their names with commas between, or the name of a published ensemble
            (`passt-ensemble-4`); then it is an `Ensemble`, the mean of their logits.
        device: where it shall compute, such as "cpu" or "cuda".
        precision: what its encoder shall compute in: "fp32", "bf16" or "int8"; see `with_precision`.

    Raises:
        ConfigError: no such model, or it cannot compute in this precision.
        CheckpointError: the file cannot be had, is damaged or no weights that earmark knows; code in it is
            never run.

    Example:
        >>> model = load()
        >>> model.sample_rate, "Dog" in model.labels.names
        (16000, True)
    """
    members = members_of(name_or_file)
    if members is not None:
        return Ensemble([load(member, device=device, precision=precision) for member in members]).eval()
    path = resolve(cast(str, name_or_file))
    if is_ours(path):
        return with_precision(load_checkpoint(path, device), precision)
    return with_precision(recognize(path).tagger.to(device), precision)


def members_of(
    name_or_names: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
) -> list[str | os.PathLike[str]] | None:
    """The models of an ensemble; None for a single model.

    Example:
        >>> members_of("passt-ensemble-s16-s14")
        ['passt-s-s14.as2m-swa', 'passt-s-s16.as2m-swa']
        >>> members_of("builtin,run/model.safetensors")
        ['builtin', 'run/model.safetensors']
    """
    if not isinstance(name_or_names, str | os.PathLike):
        return list(name_or_names)
    text = os.fspath(name_or_names)
    if text in ENSEMBLE_BY_NAME:
        return list(ENSEMBLE_BY_NAME[text].members)
    if "," in text and not Path(text).exists():
        return [member.strip() for member in text.split(",")]
    return None


def resolve(name_or_file: str | os.PathLike[str] = "builtin") -> Path:
    """The file behind a name, a path, or a run folder; a published model is fetched if need be.

    Raises:
        ConfigError: neither a known name nor an existing file; the nearest name is suggested.
        CheckpointError: a published model cannot be had.
    """
    text = os.fspath(name_or_file)
    if text == "builtin":
        return WEIGHTS / "builtin.safetensors"
    if text in BY_NAME:
        return fetch_published(BY_NAME[text], cache_folder())
    if (kept := imported_path(text)) is not None and kept.is_file():
        return kept
    with suppress(OSError):  # a name that is too long for a file is no file
        if (path := in_folder(Path(text))).is_file():
            return path
    if text in ENSEMBLE_BY_NAME:
        raise ConfigError(f"{text} is an ensemble of several models; name one of its members here")
    ensembles = [entry.name for entry in ENSEMBLES]
    hint = did_you_mean(text, [*NAMES, *imported_names(), *ensembles], "`earmark models` lists the names")
    raise ConfigError(f"no model {text!r}: it is neither a file, a run folder nor a known name; {hint}")


def in_folder(path: Path) -> Path:
    """The model's file in the folder of a training run or of Hugging Face's; any other path as it is."""
    if not path.is_dir():
        return path
    return next((path / name for name in IN_FOLDERS if (path / name).is_file()), path / IN_FOLDERS[0])


def cache_folder() -> Path:
    """Where fetched checkpoints are kept: under `EARMARK_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("EARMARK_CACHE") or user_cache_dir("earmark")) / "checkpoints"


def imported_folder() -> Path:
    """Where imported models are kept: under `EARMARK_CACHE`, or the user's data folder."""
    return Path(os.environ.get("EARMARK_CACHE") or user_data_dir("earmark")) / "models"


def imported_names() -> list[str]:
    """The names of the imported models, sorted."""
    try:
        return sorted(path.stem for path in imported_folder().glob("*.safetensors") if path.is_file())
    except OSError:
        return []


def imported_path(name: str) -> Path | None:
    """Where a model of this name is kept once it is imported; None if it is no name for one.

    Example:
        >>> imported_path("../other") is None
        True
    """
    plain = name.isascii() and all(letter.isalnum() or letter in "._-" for letter in name)
    if not plain or not 0 < len(name) <= 100 or not name[0].isalnum() or name.endswith("."):
        return None
    return imported_folder() / f"{name}.safetensors"
