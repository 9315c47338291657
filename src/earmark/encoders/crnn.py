"""TALNet: convolutions and a recurrent net that reads their columns in both directions."""

from typing import Literal

from jaxtyping import Float
from pydantic import model_validator
from torch import Tensor, nn

from earmark.encoders.conv_stack import ConvStack, ConvStackModule
from earmark.encoders.encoding import Encoding, Layer, layers_until
from earmark.encoders.sequence import frames_first, plain_layer, with_mean


class CRNN(ConvStack):
    """TALNet's encoder.  The defaults are the published 64-band model; the other has 128 and `dim` 2048.

    The fields are those of `ConvStack`: `n_bands`, `dim`, `blocks`, `pools`, `kernel`, `batch_norm`,
    `dropout`.

    Example:
        >>> import torch
        >>> encoder = CRNN(dim=128).build().eval()
        >>> encoder(torch.zeros(1, 64, 400)).frames.shape
        torch.Size([1, 100, 128])
    """

    kind: Literal["CRNN"] = "CRNN"

    @model_validator(mode="after")
    def _check_directions(self) -> "CRNN":
        if self.dim % 2:
            raise ValueError(f"dim is {self.dim}; it must be even, half of it for each direction")
        return self

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What each convolution block gives, then the recurrent net."""
        return (*self.conv_layers, plain_layer(self.dim, self.frame_stride))

    def build(self) -> "CRNNEncoder":
        """The module that computes this, freshly initialized."""
        return CRNNEncoder(self)


class CRNNEncoder(ConvStackModule):
    """Computes `CRNN`; see there.  Parameter names are the published ones.

    Source:
        TALNet (Wang et al., arXiv:1810.09050) as AudioTagging Done Right has it; agrees with recorded outputs
        of the latter.  The summary, the mean of the frames over time, is ours.
    """

    def __init__(self, config: CRNN) -> None:
        super().__init__(config)
        self.config = config
        self.gru = nn.GRU(config.dim, config.dim // 2, batch_first=True, bidirectional=True)
        for parameter in self.gru.parameters():
            if parameter.ndim > 1:
                nn.init.orthogonal_(parameter)
            else:
                nn.init.zeros_(parameter)

    def forward(self, features: Float[Tensor, "batch band frame"], layer: int | None = None) -> Encoding:
        """Encode a batch of spectrograms.

        Args:
            features: normalized log mel; `config.n_bands` bands, at least `config.min_frames` frames.
            layer: stop after this layer of `config.layers`; None for the whole encoder.

        Returns:
            Frames, and their mean over time as the summary.

        Raises:
            ValueError: another number of bands, too few frames, or no such layer.
        """
        until = layers_until(layer, len(self.conv) + 1)
        columns = self.convolve(frames_first(features, self.config), until)
        if until <= len(self.conv):
            return with_mean(columns)
        return with_mean(self.dropout(self.gru(self.dropout(columns))[0]))
