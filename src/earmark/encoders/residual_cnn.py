"""A small residual convolutional net: the built-in model's encoder."""

from typing import Annotated, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from earmark.encoders.encoding import EncoderDescription, Encoding, Layer, check_size, layers_until

Width = Annotated[int, Field(ge=1, le=8192)]


class ResidualCNN(EncoderDescription):
    """A residual net of plain 3x3 convolutions over (band, frame); about 0.3 M parameters by default.

    Plain convolutions, because depthwise ones are bound by memory on a CPU.  It takes any number of frames.

    Attributes:
        n_bands: mel bands that it takes.
        widths: channels of each stage; every stage but the first halves both axes.
        blocks: residual blocks in each stage.
        stem: channels of the first convolution, which halves both axes.
        first_stride: 2 lets the first stage halve both axes, too: a net of twice the width for the same work.
        dropout: share of the summary dropped in training.

    Example:
        >>> encoder = ResidualCNN().build().eval()
        >>> sum(p.numel() for p in encoder.parameters())
        307248
        >>> encoder(torch.zeros(1, 64, 250)).summary.shape     # 5 s at a hop of 20 ms
        torch.Size([1, 256])
    """

    kind: Literal["ResidualCNN"] = "ResidualCNN"
    n_bands: int = Field(default=64, ge=8, le=4096)
    widths: tuple[Width, ...] = Field(default=(16, 32, 64, 128), min_length=1, max_length=8)
    blocks: int = Field(default=1, ge=1, le=64)
    stem: Width = 16
    first_stride: Literal[1, 2] = 1
    dropout: float = Field(default=0.0, ge=0, lt=1)

    @property
    def dim(self) -> int:
        """Width of the summary: the mean and the maximum of every channel."""
        return 2 * self.widths[-1]

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What each residual block gives."""
        first = 2 * self.first_stride
        widths = [(width, first * 2**index) for index, width in enumerate(self.widths)]
        return tuple(
            Layer(2 * width, width, stride, 0.0) for width, stride in widths for _ in range(self.blocks)
        )

    def build(self) -> "ResidualCNNEncoder":
        """The module that computes this, freshly initialized."""
        return ResidualCNNEncoder(self)


class ResidualCNNEncoder(nn.Module):
    """Computes `ResidualCNN`; see there.

    Source:
        He et al., arXiv:1512.03385 (basic blocks); mean plus maximum over time as in PANNs
        (arXiv:1912.10211).  Ours: the maximum keeps a short event that silence would dilute.
    """

    def __init__(self, config: ResidualCNN) -> None:
        super().__init__()
        self.config = config
        self.stem = nn.Sequential(
            nn.Conv2d(1, config.stem, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(config.stem),
            nn.ReLU(),
        )
        stages: list[nn.Module] = []
        before = config.stem
        for index, width in enumerate(config.widths):
            for block in range(config.blocks):
                stride = 2 if index else config.first_stride
                stages.append(ResidualBlock(before, width, 1 if block else stride))
                before = width
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, features: Float[Tensor, "batch band frame"], layer: int | None = None) -> Encoding:
        """Encode a batch of spectrograms.

        Args:
            features: normalized log mel; `config.n_bands` bands.
            layer: stop after this residual block; None for the whole encoder.

        Returns:
            Frames hold the mean over bands; the summary holds their mean and maximum over time.

        Raises:
            ValueError: another number of bands, or no such layer.
        """
        check_size(features, self.config)
        grid = features[:, None]
        if len(features) > 1:  # channels last in memory: a third faster in training, the same for one clip
            grid = features.contiguous()[..., None].movedim(-1, 1)
        grid = self.stages[: layers_until(layer, len(self.stages))](self.stem(grid))
        frames = grid.mean(dim=2).transpose(1, 2)
        summary = torch.cat([frames.mean(dim=1), frames.amax(dim=1)], dim=1)
        return Encoding(frames=frames, summary=self.dropout(summary))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut."""

    def __init__(self, before: int, width: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
        )
        same = before == width and stride == 1
        self.shortcut = (
            nn.Identity()
            if same
            else nn.Sequential(
                nn.AvgPool2d(stride, ceil_mode=True, count_include_pad=False),
                nn.Conv2d(before, width, 1, bias=False),
                nn.BatchNorm2d(width),
            )
        )

    def forward(self, grid: Float[Tensor, "batch dim row column"]) -> Float[Tensor, "batch out row2 column2"]:
        """Add what the convolutions found to the input."""
        return torch.relu(self.body(grid) + self.shortcut(grid))
