"""What the image nets that read spectrograms have in common: EfficientNet, ResNet and the MobileNets."""

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from earmark.encoders.encoding import EncoderDescription, Encoding


class ImageNet(EncoderDescription):
    """Base of nets that see a spectrogram as an image; the summary is the mean of the last map.

    Attributes:
        n_bands: mel bands that it takes.
    """

    n_bands: int = Field(default=128, gt=0, le=4096)

    @property
    def dim(self) -> int:
        """Width of the summary: the channels of the last map."""
        return self.layers[-1].dim

    @property
    def frame_dim(self) -> int:
        """Width of a frame: the mean over bands of every channel."""
        return self.dim


def divisible(channels: float | int) -> int:
    """The nearest multiple of 8, at least 8, and not less than nine tenths.

    Example:
        >>> divisible(16 * 0.1), divisible(24 * 0.4), divisible(12)
        (8, 16, 16)
    """
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm with the constants of EfficientNet and of EfficientAT's nets."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


def pooled(grid: Float[Tensor, "batch dim row column"]) -> Encoding:
    """A map's frames, the mean over bands, and its summary, the mean over both."""
    frames = grid.mean(dim=2).transpose(1, 2)
    return Encoding(frames=frames, summary=frames.mean(dim=1))


def init_convolution(module: nn.Module) -> None:
    """Kaiming normal by fan-out for convolutions, as for ImageNet; for `nn.Module.apply`."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
