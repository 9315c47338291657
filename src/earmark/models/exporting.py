"""`export_published`: a model as a file that its authors' own program reads."""

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from earmark.config import ConfigError
from earmark.files import commit
from earmark.models.published import published_file
from earmark.models.tagger import Tagger

ENDINGS = (".pt", ".pth")


def export_published(model: Tagger, out: str | os.PathLike[str]) -> str:
    """Write a model by its published names, as the published program's `torch.load` expects it, atomically.

    It holds tensors and texts alone, so that `torch.load(out, weights_only=True)` reads it.  Labels, front
    end and the length of clips have no place there, but for what audio_dbert's YAML tells.

    Args:
        model: of a published family: trained here, or imported.
        out: a .pt or .pth file.

    Returns:
        The name of the family.

    Raises:
        ConfigError: no published program reads models of this description, or `out` has another ending.
        OSError: the file cannot be written; what was there stays.
    """
    path = Path(out)
    if path.suffix not in ENDINGS:
        raise ConfigError(
            f"{path.name!r} must end in {' or '.join(ENDINGS)}: published programs read torch.save"
        )
    try:
        family, held = published_file(model)
    except ValueError as error:
        raise ConfigError(f"{error}; it can only be kept as a checkpoint of earmark's own") from None
    with commit(path) as file:
        torch.save(_plain(held), file)
    return family


def _plain(value: Any) -> Any:
    """The same with tensors that have their own memory: a view would drag along all that it is a part of."""
    if isinstance(value, Tensor):
        return value.detach().cpu().clone(memory_format=torch.contiguous_format)
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return value
