"""A plain convolutional baseline after LeNet."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from earmark.encoders.encoding import EncoderDescription, Encoding, Layer, check_size, layers_until

KERNEL, STAGES = 5, 3


class PlainCNN(EncoderDescription):
    """Three times convolution, ReLU and pooling, then two linear layers: the baseline beside the minimal AST.

    Attributes:
        n_bands: mel bands that it takes.
        max_frames: frames that it is built for; of weight only where `pool` is "flatten".
        channels: of each convolution.
        hidden: width of the first linear layer.
        dim: width of the second one, the summary.
        pool: how time is taken away before the linear layers: the mean over it, for any number of frames, or,
            as published, not at all: each frame has weights of its own and the input has one length.
        shared_conv: apply the second convolution twice, as published, in the place of a third one.

    Example:
        >>> encoder = PlainCNN().build().eval()
        >>> encoder(torch.zeros(1, 128, 498)).summary.shape
        torch.Size([1, 84])
    """

    kind: Literal["PlainCNN"] = "PlainCNN"
    n_bands: int = Field(default=128, ge=36, le=4096)
    max_frames: int = Field(default=498, ge=36, le=100_000)
    channels: int = Field(default=6, ge=1, le=512)
    hidden: int = Field(default=120, ge=1, le=8192)
    dim: int = Field(default=84, ge=1, le=8192)
    pool: Literal["mean", "flatten"] = "mean"
    shared_conv: bool = False

    @model_validator(mode="after")
    def _check(self) -> "PlainCNN":
        if self.flat * self.hidden > 2**28:
            raise ValueError(
                f"{self.flat} numbers into a layer of {self.hidden} make more than {2**28} weights; "
                'take pool="mean", fewer frames or a smaller layer'
            )
        return self

    @property
    def flat(self) -> int:
        """How many numbers enter the first linear layer."""
        return self.frame_dim * (shrunk(self.max_frames) if self.pool == "flatten" else 1)

    @property
    def min_frames(self) -> int:
        """The shortest input."""
        return grown(shrunk(self.max_frames) if self.pool == "flatten" else 1)

    @property
    def longest(self) -> int | None:
        """The longest input in frames; None: there is no bound."""
        return self.min_frames + 2**STAGES - 1 if self.pool == "flatten" else None

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What each convolution with its pooling gives; the summary is the mean over time."""
        widths = [self.channels * shrunk(self.n_bands, stage + 1) for stage in range(STAGES)]
        # A convolution shifts the center by two of its own steps, a pooling by half a step.
        centers = [2.5 * (2 ** (stage + 1) - 1) for stage in range(STAGES)]
        return tuple(
            Layer(w, w, 2 ** (i + 1), c) for i, (w, c) in enumerate(zip(widths, centers, strict=True))
        )

    def build(self) -> "PlainCNNEncoder":
        """The module that computes this, freshly initialized."""
        return PlainCNNEncoder(self)


def shrunk(size: int, stages: int = STAGES) -> int:
    """What is left of an axis behind some convolutions and poolings.

    Example:
        >>> shrunk(498), shrunk(128)
        (58, 12)
    """
    for _ in range(stages):
        size = (size - KERNEL + 1) // 2
    return size


def grown(size: int) -> int:
    """The shortest axis of which `size` is left: the way back of `shrunk`.

    Example:
        >>> grown(58), shrunk(grown(58)), shrunk(grown(58) - 1)
        (492, 58, 57)
    """
    for _ in range(STAGES):
        size = 2 * size + KERNEL - 1
    return size


class PlainCNNEncoder(nn.Module):
    """Computes `PlainCNN`; see there.  Parameter names are the published ones.

    Source:
        LeCun et al. 1998 (LeNet-5) in the shape that a minimal AST for ESC-50 was compared with; agrees with
        recorded outputs under `pool="flatten", shared_conv=True`.  The net looks at (frame, band), not at
        (band, frame).
    """

    def __init__(self, config: PlainCNN) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv2d(1, config.channels, KERNEL)
        self.conv2 = nn.Conv2d(config.channels, config.channels, KERNEL)
        if not config.shared_conv:
            self.conv3 = nn.Conv2d(config.channels, config.channels, KERNEL)
        self.fc1 = nn.Linear(config.flat, config.hidden)
        self.fc2 = nn.Linear(config.hidden, config.dim)

    def forward(self, features: Float[Tensor, "batch band frame"], layer: int | None = None) -> Encoding:
        """Encode a batch of spectrograms.

        Args:
            features: normalized log mel; `config.n_bands` bands.
            layer: stop after this convolution; None for the whole encoder.

        Returns:
            Frames hold all channels and bands that are left; the summary is the last hidden layer, or, of a
            layer, the mean over time.

        Raises:
            ValueError: too few frames, or under `pool="flatten"` another number than the net was built for;
                or no such layer.
        """
        until = layers_until(layer, STAGES)
        remedy = 'pad or cut the features, or take pool="mean"'
        check_size(features, self.config, self.config.longest, remedy)
        grid = features.transpose(1, 2)[:, None]
        convolutions = (self.conv1, self.conv2, self.conv2 if self.config.shared_conv else self.conv3)
        for convolution in convolutions[:until]:
            grid = nn.functional.max_pool2d(torch.relu(convolution(grid)), 2)
        frames = grid.transpose(1, 2).flatten(2)
        mean = frames.mean(dim=1)
        if layer is not None:
            return Encoding(frames=frames, summary=mean)
        pooled = grid.flatten(1) if self.config.pool == "flatten" else mean
        return Encoding(frames=frames, summary=torch.relu(self.fc2(torch.relu(self.fc1(pooled)))))
