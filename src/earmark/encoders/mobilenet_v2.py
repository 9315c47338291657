"""MobileNetV2, as AudioTagging Done Right's `MBNet` has it."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from earmark.encoders.convolution import ImageNet, init_convolution, pooled
from earmark.encoders.encoding import Encoding, Layer, check_size, layers_until

STAGES = (
    (1, 1, 16, 1),
    (2, 6, 24, 2),
    (3, 6, 32, 2),
    (4, 6, 64, 2),
    (3, 6, 96, 1),
    (3, 6, 160, 2),
    (1, 6, 320, 1),
)
"""Blocks, expansion, channels, stride of the first block."""

STEM, HEAD = 32, 1280


class MobileNetV2(ImageNet):
    """MobileNetV2 on one channel, at width 1.

    Attributes:
        n_bands: mel bands that it takes.

    Example:
        >>> import torch
        >>> encoder = MobileNetV2().build().eval()
        >>> encoder(torch.zeros(1, 128, 320)).frames.shape
        torch.Size([1, 10, 1280])
        >>> sum(p.numel() for p in encoder.parameters())
        2223296
    """

    kind: Literal["MobileNetV2"] = "MobileNetV2"

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What the first convolution, each block, and the last convolution give."""
        layers = [Layer(STEM, STEM, 2, 0.0)]
        for repeats, _, out, stride in STAGES:
            layers += [Layer(out, out, layers[-1].frame_stride * stride, 0.0)] * repeats
        return (*layers, Layer(HEAD, HEAD, layers[-1].frame_stride, 0.0))

    def build(self) -> "MobileNetV2Encoder":
        """The module that computes this, freshly initialized."""
        return MobileNetV2Encoder(self)


class MobileNetV2Encoder(nn.Module):
    """Computes `MobileNetV2`; see there.  Parameter names are torchvision's.

    Source:
        Sandler et al., arXiv:1801.04381; agrees with recorded outputs of AudioTagging Done Right.
    """

    def __init__(self, config: MobileNetV2) -> None:
        super().__init__()
        self.config = config
        steps: list[nn.Module] = [unit(1, STEM, kernel=3, stride=2)]
        before = STEM
        for repeats, expansion, out, first_stride in STAGES:
            for index in range(repeats):
                steps.append(Inverted(before, out, expansion, first_stride if index == 0 else 1))
                before = out
        self.features = nn.Sequential(*steps, unit(before, HEAD))
        self.apply(init_convolution)

    def forward(self, features: Float[Tensor, "batch band frame"], layer: int | None = None) -> Encoding:
        """Encode a batch of spectrograms.

        Args:
            features: normalized log mel; `config.n_bands` bands.
            layer: stop after this convolution or block; None for the whole encoder.

        Returns:
            Frames hold the mean over bands; the summary holds their mean over time.

        Raises:
            ValueError: another number of bands, or no such layer.
        """
        check_size(features, self.config)
        return pooled(self.features[: layers_until(layer, len(self.features))](features[:, None]))


def unit(before: int, out: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> nn.Sequential:
    """A convolution, batch norm, and a ReLU that is cut off at 6."""
    conv = nn.Conv2d(before, out, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(out), nn.ReLU6())


class Inverted(nn.Module):
    """Expand, convolve each channel by itself, project, and add the input where the shapes allow."""

    def __init__(self, before: int, out: int, expansion: int, stride: int) -> None:
        super().__init__()
        wide = before * expansion
        self.conv = nn.Sequential(
            *([unit(before, wide)] if expansion > 1 else []),
            unit(wide, wide, kernel=3, stride=stride, groups=wide),
            nn.Conv2d(wide, out, 1, bias=False),
            nn.BatchNorm2d(out),
        )
        self.has_shortcut = stride == 1 and before == out

    def forward(self, grid: Float[Tensor, "batch dim row column"]) -> Float[Tensor, "batch out row2 column2"]:
        """Transform a map, and add it where the shapes allow."""
        return grid + self.conv(grid) if self.has_shortcut else self.conv(grid)
