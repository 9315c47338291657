"""The convolutions of TALNet, in front of a recurrent net or a transformer."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from earmark.encoders.encoding import Layer
from earmark.encoders.sequence import SequenceEncoder, plain_layer


class Stage(NamedTuple):
    """One convolution block.

    Attributes:
        channels: that it gives.
        pool: frames and bands that become one.
        bands: rows that are left behind it.
        stride: feature frames from one of its columns to the next.
    """

    channels: int
    pool: tuple[int, int]
    bands: int
    stride: int


class ConvStack(SequenceEncoder):
    """Base of encoders that begin with TALNet's convolutions.

    Every (blocks / pools)-th block halves the bands, the first two of these also the frames; channels double
    as bands halve, so that channels times bands is `dim` in the end.

    Attributes:
        blocks: convolution blocks.
        pools: how many of them pool; must divide `blocks`.
        kernel: of all convolutions, in frames and bands; odd numbers.
        batch_norm: normalize behind each convolution.
        dropout: share dropped in training, before each block and around what follows.
    """

    blocks: int = Field(default=10, ge=1, le=64)
    pools: int = Field(default=5, ge=1, le=12)
    kernel: tuple[int, int] = (3, 3)
    batch_norm: bool = True
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _check(self) -> "ConvStack":
        if self.blocks % self.pools:
            raise ValueError(
                f"blocks is {self.blocks} but pools is {self.pools}; blocks must be a multiple of pools"
            )
        if self.n_bands % 2**self.pools:
            raise ValueError(
                f"n_bands is {self.n_bands}, which cannot be halved {self.pools} times; take a multiple of "
                f"{2**self.pools}, or fewer pools"
            )
        if 2 * self.dim % self.n_bands:
            raise ValueError(
                f"dim is {self.dim} but n_bands is {self.n_bands}; twice dim must be a multiple of n_bands"
            )
        if any(size % 2 == 0 or not 0 < size <= 63 for size in self.kernel):
            raise ValueError(f"kernel is {self.kernel}; both numbers must be odd, 63 at most")
        return self

    @property
    def stages(self) -> tuple[Stage, ...]:
        """What each convolution block does."""
        interval, bands, stride = self.blocks // self.pools, self.n_bands, 1
        stages: list[Stage] = []
        for index in range(self.blocks):
            channels, pool = 2 * self.dim // bands, (1, 1)
            if (index + 1) % interval == 0:
                pool = (2, 2) if index < 2 * interval else (1, 2)
            bands, stride = bands // pool[1], stride * pool[0]
            stages.append(Stage(channels, pool, bands, stride))
        return tuple(stages)

    @property
    def frame_stride(self) -> int:
        """Feature frames from one encoded frame to the next: the first two pools halve time."""
        return 2 ** min(2, self.pools)

    @property
    def conv_layers(self) -> tuple[Layer, ...]:
        """What each convolution block gives: channels times bands of each column."""
        return tuple(plain_layer(stage.channels * stage.bands, stage.stride) for stage in self.stages)


class ConvBlock(nn.Module):
    """A convolution, batch norm, ReLU and max pooling; parameter names are the published ones."""

    def __init__(self, before: int, stage: Stage, config: ConvStack) -> None:
        super().__init__()
        height, width = config.kernel
        # The bias is of no use in front of batch norm, but published weights have it in any case.
        self.conv = nn.Conv2d(before, stage.channels, config.kernel, padding=(height // 2, width // 2))
        if config.batch_norm:
            self.bn = nn.BatchNorm2d(stage.channels)
        self.batch_norm = config.batch_norm
        self.pool = stage.pool
        nn.init.xavier_uniform_(self.conv.weight)
        if self.conv.bias is not None:  # pyright: ignore[reportUnnecessaryComparison]  # torch's stub forgets None
            nn.init.zeros_(self.conv.bias)

    def forward(self, x: Float[Tensor, "batch before frame band"]) -> Float[Tensor, "batch out frame2 band2"]:
        """Find local patterns, and keep the strongest of neighbors where the block pools."""
        x = self.conv(x)
        x = torch.relu(self.bn(x) if self.batch_norm else x)
        return x if self.pool == (1, 1) else nn.functional.max_pool2d(x, self.pool)


class ConvStackModule(nn.Module):
    """Base of the modules that compute a `ConvStack`; holds its convolutions as `conv`."""

    def __init__(self, config: ConvStack) -> None:
        super().__init__()
        stages = config.stages
        befores = [1] + [stage.channels for stage in stages]
        self.conv = nn.ModuleList(
            ConvBlock(before, stage, config) for before, stage in zip(befores, stages, strict=False)
        )
        self.dropout = nn.Dropout(config.dropout)

    def convolve(
        self, sequence: Float[Tensor, "batch frame band"], until: int | None = None
    ) -> Float[Tensor, "batch frame2 width"]:
        """Run the convolutions, or the first `until` of them.

        Returns:
            For each column its channels times bands, channel by channel.
        """
        # Channels last in memory: a fifth faster on a CPU.
        grid = sequence[:, None].to(memory_format=torch.channels_last)
        for block in self.conv[:until]:
            grid = block(self.dropout(grid))
        return grid.transpose(1, 2).flatten(2)
