"""ResNet-50: the image net that PSLA and AudioTagging Done Right compare with."""

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from earmark.encoders.convolution import ImageNet, init_convolution, pooled
from earmark.encoders.encoding import Encoding, Layer, check_size, layers_until

Count = Annotated[int, Field(ge=1, le=64)]

EXPANSION = 4
STRIDE = 32
SCRAMBLED_ROWS, SCRAMBLED_COLUMNS = 4, 16


class ResNet(ImageNet):
    """A residual net of bottleneck blocks on one channel.  The default is ResNet-50.

    Attributes:
        n_bands: mel bands that it takes.
        blocks: in each of the four stages; (3, 4, 23, 3) is ResNet-101.
        width: channels of the stem; the last map has 32 times as many.
        reading: how the last map becomes frames.  "map" is its mean over bands.  "flattened" reproduces
            AudioTagging Done Right on 64 bands x 400 frames: the map of 2048 channels x 2 rows x 13 columns
            is flattened and cut anew into 832 x 4 x 16, which mixes channels and places, and the mean over
            those four rows is taken; its 16 "frames" are in no order of time.

    Example:
        >>> ResNet(n_bands=64).frame_dim, ResNet(n_bands=64, reading="flattened").frame_dim
        (2048, 832)
        >>> encoder = ResNet(blocks=(1, 1, 1, 1), width=8).build().eval()
        >>> encoder(torch.zeros(1, 128, 1056)).frames.shape
        torch.Size([1, 33, 256])
    """

    kind: Literal["ResNet"] = "ResNet"
    blocks: tuple[Count, Count, Count, Count] = (3, 4, 6, 3)
    width: int = Field(default=64, ge=1, le=512)
    reading: Literal["map", "flattened"] = "map"

    @model_validator(mode="after")
    def _check(self) -> "ResNet":
        if self.reading == "flattened" and -(-self.n_bands // STRIDE) != 2:
            raise ValueError(
                f'n_bands is {self.n_bands} but reading="flattened" is tied to a map of two rows, of 33 to '
                '64 bands; take reading="map"'
            )
        if self.reading == "flattened" and self.width % 8:
            raise ValueError(
                f'width is {self.width}; reading="flattened" needs a multiple of 8, for 4 rows x 16 columns'
            )
        return self

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What each block gives: the mean over bands, and the mean over bands and frames, of its map."""
        return tuple(
            Layer(width, width, 4 * 2**stage, 0.0)
            for stage, count in enumerate(self.blocks)
            for width in (self.width * 2**stage * EXPANSION,) * count
        )

    @property
    def frame_dim(self) -> int:
        """Width of a frame."""
        return self.dim if self.reading == "map" else self.dim * 2 * 13 // SCRAMBLED_ROWS // SCRAMBLED_COLUMNS

    @property
    def min_frames(self) -> int:
        """The shortest input; a flattened map must have 13 columns."""
        return 1 if self.reading == "map" else 12 * STRIDE + 1

    @property
    def longest(self) -> int | None:
        """The longest input in frames, if there is a bound: a flattened map must have 13 columns."""
        return None if self.reading == "map" else 13 * STRIDE

    @property
    def frame_stride(self) -> int:
        """Feature frames from one encoded frame to the next."""
        return STRIDE if self.reading == "map" else 400 // SCRAMBLED_COLUMNS

    def build(self) -> "ResNetEncoder":
        """The module that computes this, freshly initialized."""
        return ResNetEncoder(self)


class ResNetEncoder(nn.Module):
    """Computes `ResNet`; see there.  Parameter names are torchvision's.

    Source:
        He et al., arXiv:1512.03385, with the stride on the 3x3 convolution; agrees with recorded outputs of
        PSLA (2048 x 4 x 33 maps) and, under `reading="flattened"`, of AudioTagging Done Right.  Deviation:
        the published reshapes take one size of input only; "map" takes every number of bands and frames.
    """

    def __init__(self, config: ResNet) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv2d(1, config.width, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(config.width)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        out = EXPANSION * config.width
        self.layer1 = stage(config.blocks[0], config.width, out, stride=1)
        self.layer2 = stage(config.blocks[1], out, 2 * out, stride=2)
        self.layer3 = stage(config.blocks[2], 2 * out, 4 * out, stride=2)
        self.layer4 = stage(config.blocks[3], 4 * out, 8 * out, stride=2)
        self.apply(init_convolution)

    def forward(self, features: Float[Tensor, "batch band frame"], layer: int | None = None) -> Encoding:
        """Encode a batch of spectrograms.

        Args:
            features: normalized log mel; `config.n_bands` bands.
            layer: stop after this block, and read its map plainly; None for the whole encoder.

        Returns:
            Frames hold the mean over bands, or what `config.reading` says; the summary holds the mean over
            bands and time.

        Raises:
            ValueError: another number of bands; if `reading="flattened"`, too few or too many frames; no such
                layer.
        """
        until = layers_until(layer, sum(self.config.blocks))
        remedy = 'pad or cut the features, or take reading="map"'
        check_size(features, self.config, self.config.longest, remedy)
        grid = self.maxpool(self.relu(self.bn1(self.conv1(features[:, None]))))
        stages = (self.layer1, self.layer2, self.layer3, self.layer4)
        for block in [block for stage in stages for block in stage][:until]:
            grid = block(grid)
        encoding = pooled(grid)
        if layer is None and self.config.reading == "flattened":
            return encoding._replace(frames=scrambled(grid))
        return encoding


def scrambled(grid: Float[Tensor, "batch dim row column"]) -> Float[Tensor, "batch 16 mixed"]:
    """A map of 2 x 13 places, flattened, cut into 4 rows x 16 columns, and averaged over the rows.

    Raises:
        ValueError: the map has another size.

    Example:
        >>> scrambled(torch.zeros(1, 2048, 2, 13)).shape
        torch.Size([1, 16, 832])
    """
    if grid.shape[2:] != (2, 13):
        rows, columns = grid.shape[2:]
        raise ValueError(
            f'a map of {rows} rows x {columns} columns cannot be read as reading="flattened" does, which '
            'takes 2 x 13, of 64 bands x 400 frames; take such features, or reading="map"'
        )
    return grid.reshape(grid.shape[0], -1, SCRAMBLED_ROWS, SCRAMBLED_COLUMNS).mean(dim=2).transpose(1, 2)


def stage(count: int, before: int, out: int, stride: int) -> nn.Sequential:
    """A stage of `count` blocks, of which the first changes width and size."""
    rest = (Bottleneck(out, out, stride=1) for _ in range(count - 1))
    return nn.Sequential(Bottleneck(before, out, stride), *rest)


class Bottleneck(nn.Module):
    """A 1x1, a 3x3 and a 1x1 convolution beside a shortcut."""

    def __init__(self, before: int, out: int, stride: int) -> None:
        super().__init__()
        narrow = out // EXPANSION
        self.conv1 = nn.Conv2d(before, narrow, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(narrow)
        self.conv2 = nn.Conv2d(narrow, narrow, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(narrow)
        self.conv3 = nn.Conv2d(narrow, out, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(out)
        self.downsample = nn.Identity()
        if before != out or stride > 1:
            self.downsample = nn.Sequential(
                nn.Conv2d(before, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out)
            )

    def forward(self, grid: Float[Tensor, "batch dim row column"]) -> Float[Tensor, "batch out row2 column2"]:
        """Add what the convolutions found to the input."""
        found = torch.relu(self.bn1(self.conv1(grid)))
        found = torch.relu(self.bn2(self.conv2(found)))
        return torch.relu(self.bn3(self.conv3(found)) + self.downsample(grid))
