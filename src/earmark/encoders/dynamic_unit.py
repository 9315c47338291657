"""The dynamic unit of DyMN: its kernels and its activation follow what is heard."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earmark.encoders.convolution import norm
from earmark.encoders.mobilenet import Unit

KERNELS = 4
LINES = 2


class Context(NamedTuple):
    """What a unit hears in its input, before it computes.

    Attributes:
        clip: of the whole clip.
        bands: a gate for each channel and band that goes out of the depthwise convolution.
        times: a gate for each channel and frame.
    """

    clip: Float[Tensor, "batch context"]
    bands: Float[Tensor, "batch wide row 1"]
    times: Float[Tensor, "batch wide 1 column"]


class ContextGenerator(nn.Module):
    """Makes the context of a unit from its input's means over time and over bands.

    Args:
        unit: the unit's sizes.
        context: width of the clip's context.
    """

    def __init__(self, unit: Unit, context: int) -> None:
        super().__init__()
        self.joint_conv = nn.Conv2d(unit.before, context, 1, bias=False)
        self.joint_norm = norm(context)
        self.conv_f = nn.Conv2d(context, unit.expanded, 1)
        self.conv_t = nn.Conv2d(context, unit.expanded, 1)
        self.stride = unit.stride

    def forward(self, grid: Float[Tensor, "batch dim row column"]) -> Context:
        """The context of a map, with gates for the map that the unit's depthwise convolution makes."""
        means = torch.cat([grid.mean(dim=3), grid.mean(dim=2)], dim=2)
        heard = nn.functional.hardswish(self.joint_norm(self.joint_conv(means[..., None])))
        rows = grid.shape[2]
        bands, times = heard[:, :, :rows], heard[:, :, rows:]
        if self.stride > 1:
            bands, times = self._strided(bands), self._strided(times)
        return Context(
            clip=heard.mean(dim=(2, 3)),
            bands=self.conv_f(bands).sigmoid(),
            times=self.conv_t(times).transpose(2, 3).sigmoid(),
        )

    def _strided(self, sequence: Float[Tensor, "batch context step 1"]) -> Float[Tensor, "batch context _ 1"]:
        return nn.functional.avg_pool2d(sequence, (3, 1), (self.stride, 1), (1, 0))


class DynamicConv(nn.Module):
    """A convolution whose kernel is, clip by clip, a mixture of four.

    Args:
        before: channels in.
        after: channels out; of a kernel wider than 1, each channel is convolved by itself.
        context: width of the clip's context.
        kernel: side of the kernel.
        stride: along both axes.

    Attributes:
        temperature: high mixes the kernels evenly, 1 lets the context choose.
    """

    def __init__(self, before: int, after: int, context: int, kernel: int = 1, stride: int = 1) -> None:
        super().__init__()
        self.shape = (after, before, 1, 1) if kernel == 1 else (after, 1, kernel, kernel)
        self.stride, self.temperature = stride, 1.0
        size = self.shape[0] * self.shape[1] * kernel * kernel
        self.weight = nn.Parameter(torch.empty(1, 1, KERNELS, size))
        self.residuals = nn.Sequential(nn.Linear(context, KERNELS))
        for one in self.weight.data[0, 0]:
            nn.init.kaiming_normal_(one.view(self.shape), mode="fan_out")

    def forward(
        self, grid: Float[Tensor, "batch dim row column"], clip: Float[Tensor, "batch context"]
    ) -> Float[Tensor, "batch out row2 column2"]:
        """Convolve each clip with its own kernel."""
        attention = (self.residuals(clip) / self.temperature).softmax(dim=1)
        kernels = attention @ self.weight[0, 0]
        batch, _, rows, columns = grid.shape
        after, _, side, _ = self.shape
        if side == 1:
            mixed = torch.bmm(kernels.view(batch, after, -1), grid.flatten(2))
            return mixed.view(batch, after, rows, columns)
        apart = grid.reshape(1, -1, rows, columns)
        out = nn.functional.conv2d(
            apart, kernels.view(-1, *self.shape[1:]), None, self.stride, side // 2, groups=batch * after
        )
        return out.view(batch, after, *out.shape[2:])


class DynamicReLU(nn.Module):
    """For each channel the higher of two lines, whose slopes and offsets follow the context.

    Args:
        channels: of the map.
        context: width of the clip's context.

    Source:
        Chen et al., arXiv:2003.10027 (Dy-ReLU-B).
    """

    lambdas: Tensor
    init_v: Tensor

    def __init__(self, channels: int, context: int) -> None:
        super().__init__()
        self.coef_net = nn.Sequential(nn.Linear(context, 2 * LINES * channels))
        self.register_buffer("lambdas", torch.tensor([1.0] * LINES + [0.5] * LINES))
        self.register_buffer("init_v", torch.tensor([1.0] + [0.0] * (2 * LINES - 1)))

    def forward(
        self, grid: Float[Tensor, "batch dim row column"], clip: Float[Tensor, "batch context"]
    ) -> Float[Tensor, "batch dim row column"]:
        """The higher line at each value."""
        theta = 2 * self.coef_net(clip).sigmoid() - 1
        terms = theta.view(grid.shape[0], grid.shape[1], 1, 1, -1) * self.lambdas + self.init_v
        lines = [grid * terms[..., line] + terms[..., LINES + line] for line in range(LINES)]
        return torch.maximum(*lines)


class DynamicUnit(nn.Module):
    """An inverted residual of dynamic convolutions, a dynamic ReLU and gates along bands and time.

    Parameter names are the published ones.

    Args:
        unit: its sizes.
        context: width of the clip's context.

    Source:
        Schmid et al., arXiv:2310.15648, figure 2.
    """

    def __init__(self, unit: Unit, context: int) -> None:
        super().__init__()
        wide = unit.expanded
        self.has_shortcut = unit.has_shortcut
        self.context_gen = ContextGenerator(unit, context)
        self.activation = unit.activation()
        if unit.expands:
            self.exp_conv = DynamicConv(unit.before, wide, context)
            self.exp_norm = norm(wide)
        self.depth_conv = DynamicConv(wide, wide, context, unit.kernel, unit.stride)
        self.depth_norm = norm(wide)
        self.depth_act = DynamicReLU(wide, context)
        self.proj_conv = DynamicConv(wide, unit.out, context)
        self.proj_norm = norm(unit.out)

    def forward(self, grid: Float[Tensor, "batch dim row column"]) -> Float[Tensor, "batch out row2 column2"]:
        """Transform a map, and add it where the shapes allow."""
        clip, bands, times = self.context_gen(grid)
        x = grid
        if hasattr(self, "exp_conv"):
            x = self.activation(self.exp_norm(self.exp_conv(x, clip)))
        x = self.depth_act(self.depth_norm(self.depth_conv(x, clip)), clip)
        x = self.proj_norm(self.proj_conv(x * bands * times, clip))
        return grid + x if self.has_shortcut else x
