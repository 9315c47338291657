"""What the image nets that read spectrograms have in common: PSLA's EfficientNet, ResNet and MobileNetV2."""

from pydantic import Field
from torch import nn

from earmark.encoders.encoding import EncoderDescription


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


def init_convolution(module: nn.Module) -> None:
    """Kaiming normal by fan-out for convolutions, as for ImageNet; for `nn.Module.apply`."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, mode="fan_out")
        if module.bias is not None:
            nn.init.zeros_(module.bias)
