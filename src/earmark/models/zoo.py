"""Models by name."""

import difflib
import os
from pathlib import Path

import torch

from earmark.config import ConfigError
from earmark.models.checkpoint import load_checkpoint
from earmark.models.tagger import Tagger

WEIGHTS = Path(__file__).parent.parent / "weights"
NAMES = ("builtin",)
"""Models that `load` knows by name; `builtin` ships inside the package and needs no network."""


def resolve(name_or_file: str | os.PathLike[str] = "builtin") -> Path:
    """The checkpoint file behind a name, a path, or a run folder.

    Raises:
        ConfigError: neither a known name nor an existing file; the nearest name is suggested.
    """
    text = os.fspath(name_or_file)
    if text in NAMES:
        return WEIGHTS / f"{text}.safetensors"
    path = Path(text)
    if path.is_dir():
        path = path / "model.safetensors"
    if path.is_file():
        return path
    near = difflib.get_close_matches(text, NAMES, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known names: {', '.join(NAMES)}"
    raise ConfigError(f"no model {text!r}: it is neither a file, a run folder nor a known name; {hint}")


def load(name_or_file: str | os.PathLike[str] = "builtin", *, device: str | torch.device = "cpu") -> Tagger:
    """Load a model, ready to tag and embed.

    Args:
        name_or_file: a name (`builtin`), a checkpoint file, or the folder of a training run.
        device: where it shall compute, such as "cpu" or "cuda".

    Raises:
        ConfigError: no such model.
        CheckpointError: the file is damaged or no earmark checkpoint; its code is never run.

    Example:
        >>> model = load()
        >>> model.sample_rate, "Dog" in model.labels.names
        (32000, True)
    """
    return load_checkpoint(resolve(name_or_file), device)
