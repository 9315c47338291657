"""The learned part of a model, in the form that is compiled and spread over processes."""

import os
import shutil
import warnings
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

from jaxtyping import Float
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.parallel import DistributedDataParallel
from torch.utils.checkpoint import checkpoint

from earmark.config import ConfigError
from earmark.encoders import Encoding
from earmark.models import Tagger
from earmark.training.distributing.sharding import blocks_of, shard
from earmark.training.distributing.world import World, share_batch_norm
from earmark.training.settings import Settings

Laid = TypeVar("Laid", bound=nn.Module)
COMPILERS = (os.environ.get("CXX", "g++"), "g++", "clang++")


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
        shortcut = getattr(self.encoder, "summarize", None)
        if shortcut is None or getattr(self.head, "reads_frames", True):
            return self.head(self.encoder(features))
        summary = shortcut(features)  # the same, but the last block computes what the head reads, and no more
        return self.head(Encoding(summary.new_zeros(len(summary), 0, summary.shape[1]), summary))


def network_of(model: Tagger, world: World, settings: Settings) -> Network:
    """The network of a model, before anything remembers its weights: they may be spread from here on.

    Args:
        model: the model, on its device; it is changed where the settings ask for it.
        world: with more than one process, batch norms are shared.
        settings: `recompute` and `shard`.

    Raises:
        ConfigError: activations cannot be recomputed because the encoder has no blocks for that.
    """
    return laid_out(Network(model), world, settings)


def laid_out(network: Laid, world: World, settings: Settings) -> Laid:
    """A network with an `encoder`, before anything remembers its weights; see `network_of`."""
    if settings.recompute:
        _recompute(network.get_submodule("encoder"))
    if world.size > 1:
        share_batch_norm(network)
        if settings.shard:
            shard(network, world)
    return network


def wrapped(network: nn.Module, world: World, settings: Settings) -> nn.Module:
    """A network as a run calls it, once it is known which of its weights learn.

    Args:
        network: see `network_of`.
        world: with more than one process, gradients are averaged over them.
        settings: `compile` and `shard`.

    Raises:
        ConfigError: nothing is there to compile with.
    """
    called: nn.Module = network
    if world.size > 1 and not settings.shard:
        on_gpu = [world.device] if world.device.type == "cuda" else None
        with warnings.catch_warnings():
            # its successor `forward_sync_buffers` is younger than the oldest torch that we take
            warnings.filterwarnings("ignore", message="`broadcast_buffers`", category=FutureWarning)
            called = DistributedDataParallel(network, device_ids=on_gpu, broadcast_buffers=False)
        # tokens of one row have gradients of another layout, which costs next to nothing
        warnings.filterwarnings("ignore", message="Grad strides do not match", category=UserWarning)
    if settings.compile:
        if world.device.type == "cpu" and not any(map(shutil.which, COMPILERS)):
            raise ConfigError(
                "compile needs a C++ compiler, and neither g++ nor clang++ is there; install one, or leave "
                "compile away"
            )
        # In place: what it is, is still to be seen.  Each size of batch gets its own code: code for any size
        # would depend on the sizes seen before, so that a resumed run could differ.
        called.compile(dynamic=False)
    return called


def averages_gradients(network: nn.Module) -> bool:
    """Whether a network leaves the mean of all processes' gradients, not their sum."""
    return isinstance(network, DistributedDataParallel | FSDPModule)


@contextmanager
def accumulating(network: nn.Module, last: bool) -> Generator[None, None, None]:
    """Within, gradients are added up in each process, and averaged with those of the others at last.

    Args:
        network: as it is called.
        last: whether this is the last part of a batch.
    """
    if isinstance(network, FSDPModule):
        network.set_requires_gradient_sync(last)
    if isinstance(network, DistributedDataParallel) and not last:
        with network.no_sync():
            yield
    else:
        yield


def _recompute(encoder: nn.Module) -> None:
    """Let each block forget its activations, and compute them again when the gradient needs them."""
    blocks = blocks_of(encoder)
    norms = nn.BatchNorm1d | nn.BatchNorm2d  # would count each batch twice
    if not blocks or any(isinstance(module, norms) for block in blocks for module in block.modules()):
        raise ConfigError(
            f"{type(encoder).__name__} has no blocks that can be computed twice (a list of layers, without "
            "batch norm); leave recompute away"
        )
    for block in blocks:
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)
