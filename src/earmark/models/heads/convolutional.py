"""A classifier at every place, averaged over them."""

from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from earmark.config import Frozen
from earmark.encoders import Encoding


class ConvolutionalHead(Frozen):
    """A 1x1 convolution to the classes and batch norm on every frame, averaged over frames.

    Example:
        >>> import torch
        >>> head = ConvolutionalHead().build(96, 96, 10)
        >>> head(Encoding(frames=torch.zeros(2, 32, 96), summary=torch.zeros(2, 96))).shape
        torch.Size([2, 10])
    """

    kind: Literal["ConvolutionalHead"] = "ConvolutionalHead"

    def build(self, dim: int, frame_dim: int, n_classes: int) -> "ConvolutionalHeadModule":
        """The module, for frames of width `frame_dim`."""
        return ConvolutionalHeadModule(frame_dim, n_classes)


class ConvolutionalHeadModule(nn.Module):
    """Computes `ConvolutionalHead`; see there.

    Source:
        EfficientAT's `fully_convolutional` head (arXiv:2211.04772).  Deviation: it sees frames, which are
        means over bands, where the published one sees the map.  Both are linear, so evaluation agrees with
        recorded outputs; in training the batch statistics are those of frames.
    """

    def __init__(self, dim: int, n_classes: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(dim, n_classes, 1, bias=False)
        self.norm = nn.BatchNorm2d(n_classes)
        nn.init.kaiming_normal_(self.conv.weight, mode="fan_out")

    def forward(self, encoding: Encoding) -> Float[Tensor, "batch class"]:
        """Mean over frames of each frame's logits."""
        row = encoding.frames.transpose(1, 2)[:, :, None]
        return self.norm(self.conv(row)).mean(dim=(2, 3))
