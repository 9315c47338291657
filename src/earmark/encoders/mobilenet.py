"""What the MobileNets of EfficientAT share: the table of units, how widths scale, and the plain unit."""

import math
from typing import Annotated, NamedTuple

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from earmark.encoders.convolution import divisible, norm
from earmark.encoders.encoding import EncoderDescription, Layer

Stride = Annotated[int, Field(ge=1, le=4)]

ROWS = (
    (3, 16, 16, False, False, None),
    (3, 64, 24, False, False, 0),
    (3, 72, 24, False, False, None),
    (5, 72, 40, True, False, 1),
    (5, 120, 40, True, False, None),
    (5, 120, 40, True, False, None),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, None),
    (3, 184, 80, False, True, None),
    (3, 184, 80, False, True, None),
    (3, 480, 112, True, True, None),
    (3, 672, 112, True, True, None),
    (5, 672, 160, True, True, 3),
    (5, 960, 160, True, True, None),
    (5, 960, 160, True, True, None),
)
"""MobileNetV3-Large at width 1: kernel, channels expanded and out; whether squeeze-excited; whether its
activation is the hard swish; which of the four strides it has, or None for 1."""

FIRST_OF_TAIL = 13
"""The unit from which a reduced tail has half the channels, and a dilated net dilates."""


class Unit(NamedTuple):
    """An inverted residual unit, as the table and a width make it.

    Attributes:
        kernel: side of the depthwise convolution.
        before: channels that come in.
        expanded: channels of the depthwise convolution.
        out: channels that go out.
        excited: whether MobileNetV3 squeezes and excites it.
        hard: whether its activation is the hard swish; else ReLU.
        configured_stride: as configured, which alone decides on the shortcut.
        dilation: of the depthwise convolution.
    """

    kernel: int
    before: int
    expanded: int
    out: int
    excited: bool
    hard: bool
    configured_stride: int
    dilation: int

    @property
    def stride(self) -> int:
        """Of the depthwise convolution: a dilated one does not stride."""
        return 1 if self.dilation > 1 else self.configured_stride

    @property
    def expands(self) -> bool:
        """Whether there is a convolution before the depthwise one."""
        return self.expanded != self.before

    @property
    def has_shortcut(self) -> bool:
        """Whether the input is added to the output."""
        return self.configured_stride == 1 and self.before == self.out

    def activation(self) -> nn.Module:
        """A new module of its activation."""
        return nn.Hardswish() if self.hard else nn.ReLU()


class MobileNet(EncoderDescription):
    """The part of a description that `MN` and `DyMN` share.

    Attributes:
        n_bands: mel bands that it takes.
        width: factor on all channels; mn04 is 0.4, mn10 is 1.
        strides: of units 2, 4, 7 and 13, along both axes; the stem always halves.
    """

    n_bands: int = Field(default=128, gt=0, le=4096)
    width: float = Field(default=1.0, gt=0, le=8)
    strides: tuple[Stride, Stride, Stride, Stride] = (2, 2, 2, 2)

    @property
    def stem(self) -> int:
        """Channels of the first convolution."""
        return divisible(16 * self.width)

    @property
    def units(self) -> tuple[Unit, ...]:
        """The fifteen inverted residual units."""
        return table(self)

    @property
    def dim(self) -> int:
        """Width of the summary: six times the channels of the last unit."""
        return 6 * self.units[-1].out

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What units 0 (the stem) to 16 (the last convolution) give: index and unit number are the same."""
        widths = [self.stem, *(unit.out for unit in self.units), self.dim]
        strides = [2, *(unit.stride for unit in self.units), 1]
        return tuple(
            Layer(width, width, math.prod(strides[: index + 1]), 0.0) for index, width in enumerate(widths)
        )


def table(config: MobileNet, reduced_tail: bool = False, dilated: bool = False) -> tuple[Unit, ...]:
    """The fifteen units of a width and four strides.

    Args:
        config: has both.
        reduced_tail: units 13 to 15 have half the channels.
        dilated: units 13 to 15 dilate by two instead of striding.
    """
    units: list[Unit] = []
    out = config.stem
    for number, (kernel, expanded, wide, excited, hard, place) in enumerate(ROWS, start=1):
        tail = number >= FIRST_OF_TAIL
        # the reduced expansion of unit 13 follows its input, which is not reduced
        halved = 2 if reduced_tail and tail else 1
        narrow = 2 if reduced_tail and number > FIRST_OF_TAIL else 1
        before, out = out, divisible(wide // halved * config.width)
        units.append(
            Unit(
                kernel=kernel,
                before=before,
                expanded=divisible(expanded // narrow * config.width),
                out=out,
                excited=excited,
                hard=hard,
                configured_stride=1 if place is None else config.strides[place],
                dilation=2 if dilated and tail else 1,
            )
        )
    return tuple(units)


def normalized(conv: nn.Conv2d, activation: nn.Module | None = None) -> nn.Sequential:
    """A convolution, batch norm, and an activation if there is one."""
    return nn.Sequential(conv, norm(conv.out_channels), *([activation] if activation else []))


class PlainUnit(nn.Module):
    """An inverted residual: expand, convolve each channel by itself, project, and add the input.

    Args:
        unit: its sizes.
        excitation: what stands between the depthwise convolution and the projection, if anything.
    """

    def __init__(self, unit: Unit, excitation: nn.Module | None = None) -> None:
        super().__init__()
        wide, padding = unit.expanded, unit.kernel // 2 * unit.dilation
        depthwise = nn.Conv2d(
            *(wide, wide, unit.kernel, unit.stride, padding, unit.dilation), groups=wide, bias=False
        )
        steps: list[nn.Module] = []
        if unit.expands:
            steps.append(normalized(nn.Conv2d(unit.before, wide, 1, bias=False), unit.activation()))
        steps.append(normalized(depthwise, unit.activation()))
        if excitation is not None:
            steps.append(excitation)
        steps.append(normalized(nn.Conv2d(wide, unit.out, 1, bias=False)))
        self.block = nn.Sequential(*steps)
        self.has_shortcut = unit.has_shortcut

    def forward(self, grid: Float[Tensor, "batch dim row column"]) -> Float[Tensor, "batch out row2 column2"]:
        """Transform a map, and add it where the shapes allow."""
        return grid + self.block(grid) if self.has_shortcut else self.block(grid)


def init_mobilenet(module: nn.Module) -> None:
    """Kaiming normal by fan-out for convolutions, deviation 0.01 for linear layers; for `nn.Module.apply`."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
    elif isinstance(module, nn.Linear):
        nn.init.normal_(module.weight, std=0.01)
    if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
        nn.init.zeros_(module.bias)
