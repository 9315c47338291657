"""A HEAR module with its model, and a digest of both."""

import hashlib
import json
from collections.abc import Mapping
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
from earmark.inference.placing import usable


class Listener(NamedTuple):
    """Whoever turns sound into vectors.

    Attributes:
        name: of the module, as it was asked for.
        model_file: of its model; empty for the published one.
        how: settings that it was loaded with.
        module: it.
        model: what its `load_model` gave.
        device: where the model is.
        digest: of the module's source and the model's numbers.
    """

    name: str
    model_file: str
    how: Mapping[str, Any]
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


def listener(
    name: str, model_file: str = "", how: Mapping[str, Any] | None = None, device: str = "cpu"
) -> Listener:
    """Load a HEAR module and its model.

    Args:
        name: of earmark.hear, such as passt_2level, or of any module that can be imported.
        model_file: file or name of the model that it shall load; its published one if empty.
        how: what its `load_model` takes besides, such as `layer`; plain values.
        device: where it shall compute, such as "cpu" or "cuda".

    Raises:
        ConfigError: no such module, `load_model` takes no such setting, its model is none of PyTorch's, or
            its rate is not one of the API's.

    Example:
        >>> listener("builtin").sample_rate
        16000
    """
    module = find_module(name)
    settings = dict(how or {})
    try:
        model = module.load_model(*([model_file] if model_file else []), **settings)
    except TypeError as error:
        if not settings:
            raise
        raise ConfigError(f"{name} cannot be loaded with {settings}: {error}") from None
    if not isinstance(model, nn.Module):
        raise ConfigError(f"{name} loads a {type(model).__name__}; only models of PyTorch can be evaluated")
    if getattr(model, "sample_rate", None) not in RATES:
        rates = ", ".join(map(str, RATES))
        raise ConfigError(
            f"{name} hears {getattr(model, 'sample_rate', None)} Hz; the HEAR API allows {rates}"
        )
    digest = digest_of_model(module, model, settings)
    with usable(device):
        model = model.to(device).eval()
    return Listener(name, model_file, settings, module, model, device, digest)


def digest_of_model(module: ModuleType, model: nn.Module, how: Mapping[str, Any]) -> str:
    """Of the module's file, the version of this package, settings and all numbers of the model.

    Args:
        module: it.
        model: that it loaded.
        how: settings that it was loaded with.
    """
    about = [__version__, module.__name__, str(model), dict(how)]
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    source = getattr(module, "__file__", None)
    if source is not None:
        with suppress(OSError):
            digest.update(Path(source).read_bytes())
    for name, tensor in sorted({**dict(model.named_parameters()), **dict(model.named_buffers())}.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
