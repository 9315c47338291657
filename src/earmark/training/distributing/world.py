"""Several processes that train one model together, by PyTorch's own engine; one process is the usual case."""

import os
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from earmark.config import ConfigError


class World(NamedTuple):
    """Who takes part in a run.

    Attributes:
        rank: number of this process, from 0; 0 alone writes.
        size: how many there are.
        device: where this process computes.
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_main(self) -> bool:
        """Whether this process is the one that writes and reports."""
        return self.rank == 0

    def total(self, values: Float[Tensor, "value"]) -> Float[Tensor, "value"]:
        """The sum of some numbers over all processes; the numbers themselves where there is one."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def gather(self, value: Any) -> list[Any]:
        """What each process has, in the order of the ranks."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def wait(self) -> None:
        """Go on when all processes are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def world(device: str) -> Generator[World, None, None]:
    """Join the processes that `torchrun` started, or be alone.

    Args:
        device: `cpu`, `cuda` or `cuda:N`; with several processes each takes the GPU of its local rank.

    Raises:
        ConfigError: the device is not there.
    """
    size, rank = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))
    place = _device(device, int(os.environ.get("LOCAL_RANK", "0")) if size > 1 else None)
    if size == 1:
        yield World(0, 1, place)
        return
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if place.type == "cuda" else "gloo"
    )  # numbers lie on the CPU
    try:
        yield World(rank, size, place)
    finally:
        dist.destroy_process_group()


def _device(name: str, local_rank: int | None) -> torch.device:
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ConfigError(f"no device {name!r}; take cpu, cuda or cuda:N") from None
    if device.type not in ("cpu", "cuda"):
        raise ConfigError(f"training on device {name!r} is not known; take cpu, cuda or cuda:N")
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise ConfigError("device is cuda but PyTorch sees no GPU; take cpu, or a PyTorch built for CUDA")
        if local_rank is not None and ":" not in name:
            device = torch.device("cuda", local_rank)
        if (device.index or 0) >= torch.cuda.device_count():
            raise ConfigError(f"no device {str(device)!r}: there are {torch.cuda.device_count()} GPUs here")
        torch.cuda.set_device(device)
    return device


class _Summed(torch.autograd.Function):
    """The sum over all processes, forward and backward."""

    @staticmethod
    def forward(ctx: Any, values: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Float[Tensor, "..."]) -> Float[Tensor, "..."]:
        total = grads[0].clone()
        dist.all_reduce(total)
        return total


class SharedBatchNorm(nn.BatchNorm2d):
    """Batch norm whose mean and variance are those of the batch over all processes, on any device.

    With it several processes compute what one does with the whole batch.

    Source:
        Ioffe and Szegedy, arXiv:1502.03167; torch's own `SyncBatchNorm` needs a GPU.

    Attributes:
        counted: whether this process's share of the batch counts; see `standing_in`.
    """

    counted = True

    def forward(
        self,
        input: Float[Tensor, "batch channel *size"],  # noqa: A002 (torch calls it so)
    ) -> Float[Tensor, "batch channel *size"]:
        """Normalize each channel; in evaluation by the running statistics."""
        if not self.training:
            return super().forward(input)
        others = [axis for axis in range(input.ndim) if axis != 1]
        shape = [1, -1] + [1] * (input.ndim - 2)
        wide = input.float()
        count = wide.new_tensor([wide.numel() / wide.shape[1]])
        mine = torch.cat([wide.sum(others), count])
        sums: Tensor = _Summed.apply(mine * self.counted)  # pyright: ignore[reportAssignmentType] (torch leaves apply untyped)
        mean = sums[:-1] / sums[-1]
        away = wide - mean.reshape(shape)
        squares: Tensor = _Summed.apply(away.square().sum(others) * self.counted)  # pyright: ignore[reportAssignmentType] (torch leaves apply untyped)
        variance = squares / sums[-1]
        self._remember(mean.detach(), variance.detach(), float(sums[-1].detach()))
        normal = away * (variance + self.eps).rsqrt().reshape(shape)
        if self.affine:
            normal = normal * self.weight.reshape(shape) + self.bias.reshape(shape)
        return normal.to(input.dtype)

    def _check_input_dim(self, input: Float[Tensor, "..."]) -> None:  # noqa: A002 (torch calls it so)
        """Any number of axes behind the channels."""

    def _remember(
        self, mean: Float[Tensor, "channel"], variance: Float[Tensor, "channel"], count: float
    ) -> None:
        if self.running_mean is None or self.running_var is None or self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        share = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, share)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), share)


def share_batch_norm(model: nn.Module) -> None:
    """Give every batch norm of a model the statistics of all processes; names and weights stay."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.__class__ = SharedBatchNorm  # pyright: ignore[reportAttributeAccessIssue] (same weights)


@contextmanager
def standing_in(model: nn.Module, empty: bool) -> Generator[None, None, None]:
    """Within, this process counts nothing in batch norms, if its share of the batch is empty."""
    norms = [module for module in model.modules() if empty and isinstance(module, SharedBatchNorm)]
    for norm in norms:
        norm.counted = False
    yield
    for norm in norms:
        norm.counted = True
