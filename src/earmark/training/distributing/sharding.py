"""Weights that are spread over several processes, each with a part of every tensor (FSDP2).

What is kept of a run, and what leaves it, is never in parts: states and models are the same files whether or
not it was sharded, and each way goes on with the other's states.
"""

import copy
from collections.abc import Mapping

from jaxtyping import Shaped
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from earmark.models import Tagger
from earmark.training.distributing.world import World

Tensors = Mapping[str, Shaped[Tensor, "..."]]


def blocks_of(encoder: nn.Module) -> list[nn.Module]:
    """The layers of an encoder that come in numbered lists, such as the blocks of a transformer.

    Example:
        >>> from earmark.encoders import PaSST
        >>> len(blocks_of(PaSST(dim=8, depth=2, heads=1).build()))
        2
    """
    lists = [child for child in encoder.children() if isinstance(child, nn.ModuleList)]
    return [block for members in lists for block in members if any(True for _ in block.children())]


def shard(network: nn.Module, world: World) -> None:
    """Spread the weights of a network over all processes; each layer's are collected while it computes.

    Must come before the optimizer, whose memory is then spread in the same way.

    Args:
        network: with an `encoder`; its parameters are replaced, under the same names.
        world: more than one process.

    Source:
        `torch.distributed.fsdp.fully_shard`.  Compared with one process over gloo; with NCCL not tried yet.
    """
    mesh = init_device_mesh(world.device.type, (world.size,))
    encoder = network.get_submodule("encoder")
    for block in blocks_of(encoder):
        fully_shard(block, mesh=mesh)
    fully_shard(network, mesh=mesh)


def is_sharded(module: nn.Module) -> bool:
    """Whether a module has only a part of its weights in this process."""
    return any(isinstance(parameter, DTensor) for parameter in module.parameters())


def whole(tensors: Tensors, kept: bool = True) -> dict[str, Shaped[Tensor, "..."]]:
    """Tensors with all of their parts, collected one after another into the processor's memory.

    What is not in parts is handed out as it is.  All processes must call this, with the same names.

    Args:
        tensors: by name.
        kept: whether this process wants them.
    """
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        full = tensor.full_tensor().cpu() if isinstance(tensor, DTensor) else tensor
        if kept:
            found[name] = full
    return found


def whole_copy(model: Tagger, weights: Tensors | None = None) -> Tagger:
    """A copy of a model in evaluation mode that nothing is spread or wrapped in.

    All processes must call this.

    Args:
        model: may be sharded.
        weights: some that the copy has instead of the model's; may be in parts, too.
    """
    tensors = whole({**model.state_dict(), **(weights or {})})
    device = next(model.parameters()).device
    copied = model.config.build().to(device) if is_sharded(model) else copy.deepcopy(model)
    copied.load_state_dict(tensors)
    return copied.eval()


def placed_like(tensor: Shaped[Tensor, "*size"], other: Shaped[Tensor, "..."]) -> Shaped[Tensor, "*size"]:
    """A whole tensor, or this process's part of it where another tensor is in parts.

    Args:
        tensor: whole, the same in all processes.
        other: says how it is spread; unless both are of one shape, the tensor is not spread.
    """
    if not isinstance(other, DTensor) or tensor.shape != other.shape:
        return tensor
    there = tensor.to(other.device)
    return distribute_tensor(there, other.device_mesh, other.placements, src_data_rank=None)


def all_placed_like(tensors: Tensors, others: Tensors) -> dict[str, Shaped[Tensor, "..."]]:
    """`placed_like` for tensors with names; those that the others have not are handed out as they are."""
    return {name: placed_like(tensor, others.get(name, tensor)) for name, tensor in tensors.items()}
