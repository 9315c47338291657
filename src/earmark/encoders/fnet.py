"""FNet: a transformer whose attention is replaced by a Fourier transform."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from earmark.encoders.encoding import Encoding, Layer, layers_until
from earmark.encoders.sequence import SequenceEncoder, frames_first, plain_layer, with_mean

EPS = 1e-12


class FNet(SequenceEncoder):
    """FNet on the frames of a spectrogram.  The defaults are the published size.

    Attributes:
        hidden: width within the feed-forward layers.
        depth: layers.
        dropout: share of what a feed-forward layer adds dropped in training.
        mixing: "joint" transforms over features and time at once, with one feed-forward layer behind it;
            "alternating" (published as FFNet) over features, a feed-forward layer, over time, and another.

    Example:
        >>> encoder = FNet(depth=2).build().eval()
        >>> encoder(torch.zeros(1, 128, 100)).frames.shape
        torch.Size([1, 100, 256])
    """

    kind: Literal["FNet"] = "FNet"
    n_bands: int = Field(default=128, gt=0, le=4096)
    dim: int = Field(default=256, gt=0, le=16384)
    hidden: int = Field(default=512, gt=0, le=65536)
    depth: int = Field(default=50, ge=1, le=256)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    mixing: Literal["joint", "alternating"] = "joint"

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What each layer gives."""
        return (plain_layer(self.dim, 1),) * self.depth

    def build(self) -> "FNetEncoder":
        """The module that computes this, freshly initialized."""
        return FNetEncoder(self)


class FNetEncoder(nn.Module):
    """Computes `FNet`; see there.  Parameter names are the published ones.

    Source:
        Lee-Thorp et al., arXiv:2105.03824, as AudioTagging Done Right has it; agrees with recorded outputs of
        the latter's `FNet` and `FFNet`.  The summary, the mean of the frames over time, is ours.
    """

    def __init__(self, config: FNet) -> None:
        super().__init__()
        self.config = config
        self.input = FrameInput(config.n_bands, config.dim)
        layer = JointLayer if config.mixing == "joint" else AlternatingLayer
        self.layer = nn.ModuleList(layer(config) for _ in range(config.depth))

    def forward(self, features: Float[Tensor, "batch band frame"], layer: int | None = None) -> Encoding:
        """Encode a batch of spectrograms.

        Args:
            features: normalized log mel; `config.n_bands` bands.
            layer: stop after this layer; None for the whole encoder.

        Returns:
            A vector for each feature frame, and their mean over time as the summary.

        Raises:
            ValueError: another number of bands, or no such layer.
        """
        until = layers_until(layer, len(self.layer))
        sequence = self.embed(features)
        for block in self.layer[:until]:
            sequence = block(sequence)
        return with_mean(sequence)

    def embed(self, features: Float[Tensor, "batch band frame"]) -> Float[Tensor, "batch frame dim"]:
        """Project each frame by itself: what the first layer gets."""
        return self.input(frames_first(features, self.config))


class FrameInput(nn.Module):
    """A layer norm over bands and a linear layer."""

    def __init__(self, n_bands: int, dim: int) -> None:
        super().__init__()
        self.layer_norm = nn.LayerNorm(n_bands, eps=EPS)
        self.hidden_mapping = nn.Linear(n_bands, dim)

    def forward(self, x: Float[Tensor, "batch frame band"]) -> Float[Tensor, "batch frame dim"]:
        """Embed each frame by itself."""
        return self.hidden_mapping(self.layer_norm(x))


class JointLayer(nn.Module):
    """The transform over features and time, then a feed-forward layer."""

    def __init__(self, config: FNet) -> None:
        super().__init__()
        self.mixing_layer_norm = nn.LayerNorm(config.dim, eps=EPS)
        self.feed_forward = nn.Linear(config.dim, config.hidden)
        self.output_dense = nn.Linear(config.hidden, config.dim)
        self.output_layer_norm = nn.LayerNorm(config.dim, eps=EPS)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch frame dim"]:
        """Mix every frame with every other, without a parameter; then transform each by itself."""
        mixed = self.mixing_layer_norm(x + mix(x, (1, 2)))
        added = self.dropout(self.output_dense(nn.functional.gelu(self.feed_forward(mixed))))
        return self.output_layer_norm(mixed + added)


class AlternatingLayer(JointLayer):
    """The transform over features and the one over time, each with a feed-forward layer behind it."""

    def __init__(self, config: FNet) -> None:
        super().__init__(config)
        self.mixing_layer_norm2 = nn.LayerNorm(config.dim, eps=EPS)
        self.feed_forward2 = nn.Linear(config.dim, config.hidden)
        self.output_dense2 = nn.Linear(config.hidden, config.dim)

    def forward(self, x: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch frame dim"]:
        """Mix the features of each frame, then the frames; the input is added before both norms."""
        features = self.mixing_layer_norm(x + mix(x, (2,)))
        between = self.dropout(self.output_dense(nn.functional.gelu(self.feed_forward(features))))
        mixed = self.mixing_layer_norm2(x + mix(between, (1,)))
        added = self.dropout(self.output_dense2(nn.functional.gelu(self.feed_forward2(mixed))))
        return self.output_layer_norm(mixed + added)


def mix(x: Float[Tensor, "batch frame dim"], axes: tuple[int, ...]) -> Float[Tensor, "batch frame dim"]:
    """The real part of the Fourier transform over some axes.

    Half precision has no transform of any length: it is computed in float32.
    """
    return torch.fft.fftn(x.float(), dim=axes).real.to(x.dtype)
