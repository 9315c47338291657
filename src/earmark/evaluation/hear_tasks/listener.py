"""A HEAR module with its model, and a digest of both."""

import hashlib
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earmark import __version__
from earmark.config import ConfigError
from earmark.hear.checking import find_module
from earmark.hear.module import RATES


class Listener(NamedTuple):
    """Whoever turns sound into vectors.

    Attributes:
        name: of the module, as it was asked for.
        model_file: of its model; empty for the published one.
        module: it.
        model: what its `load_model` gave.
        device: where the model is.
        digest: of the module's source and the model's numbers.
    """

    name: str
    model_file: str
    module: ModuleType
    model: Any
    device: str
    digest: str

    @property
    def sample_rate(self) -> int:
        """Of the sounds that it takes, in Hz."""
        return int(self.model.sample_rate)

    def scenes(self, audio: Float[Tensor, "sound sample"]) -> Float[Tensor, "sound dim"]:
        """A vector for each sound."""
        with torch.no_grad():
            return self.module.get_scene_embeddings(audio.to(self.device), self.model).float().cpu()

    def timestamps(
        self, audio: Float[Tensor, "sound sample"]
    ) -> tuple[Float[Tensor, "sound time dim"], Float[Tensor, "sound time"]]:
        """A vector for each point in time, and the times in milliseconds."""
        with torch.no_grad():
            found, times = self.module.get_timestamp_embeddings(audio.to(self.device), self.model)
        return found.float().cpu(), times.float().cpu()


def listener(name: str, model_file: str = "", device: str = "cpu") -> Listener:
    """Load a HEAR module and its model.

    Args:
        name: of earmark.hear, such as passt_2level, or of any module that can be imported.
        model_file: file or name of the model that it shall load; its published one if empty.
        device: where it shall compute, such as "cpu" or "cuda".

    Raises:
        ConfigError: no such module, its model is none of PyTorch's, or its rate is not one of the API's.

    Example:
        >>> listener("builtin").sample_rate
        16000
    """
    module = find_module(name)
    model = module.load_model(model_file) if model_file else module.load_model()
    if not isinstance(model, nn.Module):
        raise ConfigError(f"{name} loads a {type(model).__name__}; only models of PyTorch can be evaluated")
    if getattr(model, "sample_rate", None) not in RATES:
        rates = ", ".join(map(str, RATES))
        raise ConfigError(
            f"{name} hears {getattr(model, 'sample_rate', None)} Hz; the HEAR API allows {rates}"
        )
    return Listener(name, model_file, module, model.to(device).eval(), device, _digest(module, model))


def _digest(module: ModuleType, model: nn.Module) -> str:
    """Of the module's file, the version of this package and all numbers of the model."""
    digest = hashlib.sha256(f"{__version__} {module.__name__} {model}".encode())
    source = getattr(module, "__file__", None)
    if source is not None:
        with suppress(OSError):
            digest.update(Path(source).read_bytes())
    for name, tensor in sorted({**dict(model.named_parameters()), **dict(model.named_buffers())}.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
