"""The learned part of a model, in the form that is compiled and spread over processes."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from earmark.config import ConfigError
from earmark.models import Tagger
from earmark.training.distribution import World, share_batch_norm
from earmark.training.settings import Settings


class Network(nn.Module):
    """Features to logits.

    Args:
        model: whose encoder and head it is; they are shared, not copied.
    """

    def __init__(self, model: Tagger) -> None:
        super().__init__()
        self.encoder = model.encoder
        self.head = model.head

    def forward(self, features: Float[Tensor, "batch band frame"]) -> Float[Tensor, "batch class"]:
        """Logits of a batch of features."""
        if self.head is None:
            raise ValueError("a model without a head has nothing to learn from labels; give it one")
        return self.head(self.encoder(features))


def wrapped(model: Tagger, world: World, settings: Settings) -> Callable[..., Tensor]:
    """A model's network as a run calls it.

    Args:
        model: the model, on its device.
        world: with more than one process, gradients and batch norms are shared.
        settings: `compile` and `recompute`.

    Raises:
        ConfigError: activations cannot be recomputed because the encoder has no blocks.
    """
    if settings.recompute:
        _recompute(model.encoder)
    network: nn.Module = Network(model)
    if world.size > 1:
        share_batch_norm(network)
        on_gpu = [world.device] if world.device.type == "cuda" else None
        network = DistributedDataParallel(network, device_ids=on_gpu, broadcast_buffers=False)
    return torch.compile(network) if settings.compile else network


def _recompute(encoder: nn.Module) -> None:
    """Let each block forget its activations, and compute them again when the gradient needs them."""
    blocks: Any = getattr(encoder, "blocks", None)
    if not isinstance(blocks, nn.ModuleList):
        raise ConfigError(
            f"{type(encoder).__name__} has no transformer blocks to recompute; leave --recompute away"
        )
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
