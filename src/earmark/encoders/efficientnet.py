"""EfficientNet: PSLA's encoder, in its eight sizes."""

import math
from typing import Literal, NamedTuple

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from earmark.encoders.convolution import ImageNet, divisible, init_convolution, norm, pooled
from earmark.encoders.encoding import Encoding, Layer, check_size, layers_until

SIZES = (
    (1.0, 1.0, 224),
    (1.0, 1.1, 240),
    (1.1, 1.2, 260),
    (1.2, 1.4, 300),
    (1.4, 1.8, 380),
    (1.6, 2.2, 456),
    (1.8, 2.6, 528),
    (2.0, 3.1, 600),
)
"""Of b0 to b7: factor on channels, factor on blocks, and the side of the images that it is meant for."""

STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
"""Of b0: blocks, kernel, stride of the first block, expansion, channels."""

STEM, HEAD = 32, 1280


class Step(NamedTuple):
    """A convolution with the padding that TensorFlow gives it on images of the nominal size.

    Attributes:
        kernel: side of the kernel.
        stride: along both axes.
        side: of the image that it gets, if the net's input has the nominal side.
    """

    kernel: int
    stride: int
    side: int

    @property
    def padding(self) -> tuple[int, int]:
        """Rows of zeros before and after; an even image needs fewer at stride 2 than an odd one."""
        total = max((self.side_out - 1) * self.stride + self.kernel - self.side, 0)
        return total // 2, total - total // 2

    @property
    def side_out(self) -> int:
        """Of the image that it gives."""
        return -(-self.side // self.stride)

    def needs(self, outputs: int) -> int:
        """The fewest rows that give so many."""
        return max(1, (outputs - 1) * self.stride + self.kernel - sum(self.padding))


class Block(NamedTuple):
    """An inverted residual block of the net.

    Attributes:
        step: its depthwise convolution.
        before: channels that come in.
        expansion: how many times more the depthwise convolution has.
        out: channels that go out.
    """

    step: Step
    before: int
    expansion: int
    out: int


class EfficientNet(ImageNet):
    """EfficientNet b0 to b7 on one channel.  The default is the size that PSLA published.

    Its padding is that of the published code, which computes it for square images of a nominal size (224 for
    b0, 260 for b2, ...) whatever the input is; so the frames' centers depend on the size, too.

    Attributes:
        n_bands: mel bands that it takes.
        b: the size, 0 to 7.
        drop_connect: in training, the chance that the last block is skipped for a clip; it grows from 0
            for the first one.

    Example:
        >>> import torch
        >>> encoder = EfficientNet(b=0).build().eval()
        >>> encoder(torch.zeros(1, 128, 1056)).frames.shape
        torch.Size([1, 33, 1280])
        >>> sum(p.numel() for p in encoder.parameters())
        4006972
    """

    kind: Literal["EfficientNet"] = "EfficientNet"
    b: int = Field(default=2, ge=0, le=7)
    drop_connect: float = Field(default=0.2, ge=0, lt=1)

    @model_validator(mode="after")
    def _check(self) -> "EfficientNet":
        if self.n_bands < self.min_frames:
            raise ValueError(
                f"n_bands is {self.n_bands} but EfficientNet-b{self.b} needs at least {self.min_frames}; "
                "take more bands"
            )
        return self

    @property
    def stem(self) -> Step:
        """The first convolution."""
        return Step(kernel=3, stride=2, side=SIZES[self.b][2])

    @property
    def blocks(self) -> tuple[Block, ...]:
        """The blocks, in their order."""
        width, depth, _ = SIZES[self.b]
        blocks: list[Block] = []
        out, side = divisible(STEM * width), self.stem.side_out
        for repeats, kernel, first_stride, expansion, channels in STAGES:
            for index in range(math.ceil(depth * repeats)):
                step = Step(kernel, first_stride if index == 0 else 1, side)
                before, out, side = out, divisible(channels * width), step.side_out
                blocks.append(Block(step, before, expansion, out))
        return tuple(blocks)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What each block gives: the mean over bands, and the mean over bands and frames, of its map."""
        layers: list[Layer] = []
        stride, first = self.stem.stride, (self.stem.kernel - 1) / 2 - self.stem.padding[0]
        for block in self.blocks:
            first += stride * ((block.step.kernel - 1) / 2 - block.step.padding[0])
            stride *= block.step.stride
            layers.append(Layer(block.out, block.out, stride, first))
        return tuple(layers)

    @property
    def dim(self) -> int:
        """Width of the summary: the channels of the last convolution."""
        return divisible(HEAD * SIZES[self.b][0])

    @property
    def min_frames(self) -> int:
        """The shortest input: one encoded frame."""
        rows = 1
        for block in reversed(self.blocks):
            rows = block.step.needs(rows)
        return self.stem.needs(rows)

    def build(self) -> "EfficientNetEncoder":
        """The module that computes this, freshly initialized."""
        return EfficientNetEncoder(self)


class EfficientNetEncoder(nn.Module):
    """Computes `EfficientNet`; see there.  Parameter names are the published ones.

    Source:
        Tan and Le, arXiv:1905.11946, as in PSLA (Gong et al., arXiv:2102.01243); agrees with recorded outputs
        of PSLA and of AudioTagging Done Right.  Deviation: frames are the mean over all rows of the last map;
        the published code pools exactly four rows and fails on fewer than 128 bands.
    """

    def __init__(self, config: EfficientNet) -> None:
        super().__init__()
        self.config = config
        blocks = config.blocks
        first, last = blocks[0].before, blocks[-1].out
        self._conv_stem = SamePadded(1, first, config.stem)
        self._bn0 = norm(first)
        rates = [config.drop_connect * index / len(blocks) for index in range(len(blocks))]
        self._blocks = nn.ModuleList(MBConv(b, rate) for b, rate in zip(blocks, rates, strict=True))
        self._conv_head = nn.Conv2d(last, config.dim, 1, bias=False)
        self._bn1 = norm(config.dim)
        self.apply(init_convolution)

    def forward(self, features: Float[Tensor, "batch band frame"], layer: int | None = None) -> Encoding:
        """Encode a batch of spectrograms.

        Args:
            features: normalized log mel; `config.n_bands` bands, at least `config.min_frames` frames.
            layer: stop after this block; None for the whole encoder.

        Returns:
            Frames hold the mean over bands; the summary holds their mean over time.

        Raises:
            ValueError: another number of bands, too few frames for one encoded frame, or no such layer.
        """
        until = layers_until(layer, len(self._blocks))
        check_size(features, self.config)
        grid = nn.functional.silu(self._bn0(self._conv_stem(features[:, None])))
        for block in self._blocks[:until]:
            grid = block(grid)
        if layer is None:
            grid = nn.functional.silu(self._bn1(self._conv_head(grid)))
        return pooled(grid)


class SamePadded(nn.Conv2d):
    """A convolution that pads as TensorFlow would pad an image of the nominal size."""

    def __init__(self, before: int, out: int, step: Step, groups: int = 1) -> None:
        first, last = step.padding
        even = first if first == last else 0
        super().__init__(before, out, step.kernel, step.stride, even, groups=groups, bias=False)
        self.sides = (0, 0, 0, 0) if first == last else (first, last, first, last)

    def forward(
        self,
        input: Float[Tensor, "batch dim row column"],  # noqa: A002, torch calls it so
    ) -> Float[Tensor, "batch out row2 column2"]:
        """Pad and convolve."""
        return super().forward(nn.functional.pad(input, self.sides) if any(self.sides) else input)


class MBConv(nn.Module):
    """Expand, convolve each channel by itself, squeeze and excite, project, and add the input.

    Args:
        block: its sizes.
        drop: in training, the chance that a clip's block is skipped.
    """

    def __init__(self, block: Block, drop: float) -> None:
        super().__init__()
        before, wide, squeezed = block.before, block.before * block.expansion, max(1, block.before // 4)
        if block.expansion > 1:
            self._expand_conv = nn.Conv2d(before, wide, 1, bias=False)
            self._bn0 = norm(wide)
        self._depthwise_conv = SamePadded(wide, wide, block.step, groups=wide)
        self._bn1 = norm(wide)
        self._se_reduce = nn.Conv2d(wide, squeezed, 1)
        self._se_expand = nn.Conv2d(squeezed, wide, 1)
        self._project_conv = nn.Conv2d(wide, block.out, 1, bias=False)
        self._bn2 = norm(block.out)
        self.expands = block.expansion > 1
        self.has_shortcut = block.step.stride == 1 and before == block.out
        self.drop = nn.Dropout(drop)

    def forward(self, grid: Float[Tensor, "batch dim row column"]) -> Float[Tensor, "batch out row2 column2"]:
        """Transform a map, and add it where the shapes allow."""
        wide = nn.functional.silu(self._bn0(self._expand_conv(grid))) if self.expands else grid
        wide = nn.functional.silu(self._bn1(self._depthwise_conv(wide)))
        squeezed = nn.functional.silu(self._se_reduce(wide.mean(dim=(2, 3), keepdim=True)))
        wide = wide * self._se_expand(squeezed).sigmoid()
        out = self._bn2(self._project_conv(wide))
        return grid + self.sometimes(out) if self.has_shortcut else out

    def sometimes(self, grid: Float[Tensor, "batch dim row column"]) -> Float[Tensor, "batch dim row column"]:
        """In training, zero the maps of some clips, and scale the others so that the mean stays."""
        if not self.training or self.drop.p == 0:
            return grid
        return grid * self.drop(grid.new_ones(len(grid), 1, 1, 1))
