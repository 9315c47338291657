"""Linear layers on each frame by itself: the floor that other encoders are compared with."""

from typing import Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from earmark.encoders.encoding import Encoding, Layer, layers_until
from earmark.encoders.sequence import SequenceEncoder, frames_first, plain_layer, with_mean


class LinearFrames(SequenceEncoder):
    """Linear layers with layer norms between them, and no other non-linearity.

    Attributes:
        depth: pairs of a layer norm and a linear layer behind the first linear layer.
        dropout: share dropped in training before each linear layer.

    Example:
        >>> import torch
        >>> encoder = LinearFrames().build().eval()
        >>> encoder(torch.zeros(1, 64, 400)).frames.shape
        torch.Size([1, 400, 128])
    """

    kind: Literal["LinearFrames"] = "LinearFrames"
    dim: int = Field(default=128, gt=0, le=16384)
    depth: int = Field(default=3, ge=0, le=64)
    dropout: float = Field(default=0.1, ge=0, lt=1)

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What each linear layer gives."""
        return (plain_layer(self.dim, 1),) * (1 + self.depth)

    def build(self) -> "LinearFramesEncoder":
        """The module that computes this, freshly initialized."""
        return LinearFramesEncoder(self)


class LinearFramesEncoder(nn.Module):
    """Computes `LinearFrames`; see there.  Parameter names are the published ones.

    Source:
        `LinearModel` of AudioTagging Done Right; agrees with its recorded outputs.  The summary, the mean of
        the frames over time, is ours.
    """

    def __init__(self, config: LinearFrames) -> None:
        super().__init__()
        self.config = config
        self.linear = nn.ModuleList([nn.Linear(config.n_bands, config.dim)])
        for _ in range(config.depth):
            self.linear.extend([nn.LayerNorm(config.dim), nn.Linear(config.dim, config.dim)])
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, features: Float[Tensor, "batch band frame"], layer: int | None = None) -> Encoding:
        """Encode a batch of spectrograms.

        Args:
            features: normalized log mel; `config.n_bands` bands.
            layer: stop after this linear layer; None for the whole encoder.

        Returns:
            A vector for each feature frame, and their mean over time as the summary.

        Raises:
            ValueError: another number of bands, or no such layer.
        """
        until = layers_until(layer, len(self.config.layers))
        sequence = self.linear[0](self.dropout(frames_first(features, self.config)))
        for stage in range(1, until):
            norm, linear = self.linear[2 * stage - 1], self.linear[2 * stage]
            sequence = linear(norm(self.dropout(sequence)))
        return with_mean(sequence)
