"""TALtrans: TALNet's convolutions and a transformer layer that is applied several times."""

from typing import Literal

from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor

from earmark.encoders.conv_stack import ConvStack, ConvStackModule
from earmark.encoders.encoding import Encoding, Layer, layers_until
from earmark.encoders.layers import check_heads
from earmark.encoders.sequence import frames_first, plain_layer, with_mean
from earmark.encoders.sinusoid import Sinusoid
from earmark.encoders.transformer import PostNormLayer, init_xavier

LOUDER = 8.0
"""What the spectrogram is multiplied by before the sinusoid is added to it."""


class CNNTransformer(ConvStack):
    """TALtrans.  The defaults are the published 64-band model; the other has 128 bands and `dim` 2048.

    Further fields are those of `ConvStack`: `n_bands`, `dim`, `blocks`, `pools`, `kernel`, `batch_norm`,
    `dropout`.

    Attributes:
        depth: how often the one transformer layer is applied; its weights are shared.
        heads: attention heads.
        attention_dropout: share dropped in training, of attention weights and of what the layer adds.
        positions: "none", or "spectrogram": the published option `addpos`, which adds a sinusoid of time to
            the input spectrogram, times 8, and not to what the transformer gets.
        position_frames: frames of the sinusoid that is kept with the weights; longer input continues it.

    Example:
        >>> import torch
        >>> encoder = CNNTransformer(dim=128).build().eval()
        >>> encoder(torch.zeros(1, 64, 400)).frames.shape
        torch.Size([1, 100, 128])
    """

    kind: Literal["CNNTransformer"] = "CNNTransformer"
    depth: int = Field(default=2, ge=1, le=64)
    heads: int = Field(default=8, gt=0)
    attention_dropout: float = Field(default=0.5, ge=0, lt=1)
    positions: Literal["none", "spectrogram"] = "none"
    position_frames: int = Field(default=400, gt=0, le=100_000)

    @model_validator(mode="after")
    def _check_attention(self) -> "CNNTransformer":
        check_heads(self.dim, self.heads)
        return self

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What each convolution block gives, then each turn of the transformer layer."""
        return (*self.conv_layers, *(plain_layer(self.dim, self.frame_stride),) * self.depth)

    def build(self) -> "CNNTransformerEncoder":
        """The module that computes this, freshly initialized."""
        return CNNTransformerEncoder(self)


class CNNTransformerEncoder(ConvStackModule):
    """Computes `CNNTransformer`; see there.  Parameter names are the published ones.

    Source:
        Li et al., AudioTagging Done Right (arXiv:2203.13448); agrees with its recorded outputs.  The summary,
        the mean of the frames over time, is ours.
    """

    def __init__(self, config: CNNTransformer) -> None:
        super().__init__(config)
        self.config = config
        if config.positions == "spectrogram":
            self.positional_encoding = Sinusoid(config.position_frames, config.n_bands)
        self.enc_layer = PostNormLayer(config.dim, config.dim, config.heads, config.attention_dropout)
        init_xavier(self.enc_layer)

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
        n_conv = len(self.conv)
        until = layers_until(layer, n_conv + self.config.depth)
        sequence = frames_first(features, self.config)
        if self.config.positions == "spectrogram":
            sequence = LOUDER * sequence + self.positional_encoding(sequence)
        sequence = self.convolve(sequence, until)
        for _ in range(until - n_conv):
            sequence = self.enc_layer(sequence)
        return with_mean(sequence)
