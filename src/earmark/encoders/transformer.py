"""A transformer on the frames of a spectrogram, and the post-norm layer that TALtrans shares."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from earmark.encoders.encoding import Encoding, Layer, layers_until
from earmark.encoders.layers import attend_dropping, check_heads
from earmark.encoders.sequence import SequenceEncoder, frames_first, plain_layer, with_mean

POOL = 4


class Transformer(SequenceEncoder):
    """A transformer without convolutions and without positions.  The defaults are the published size.

    It takes a spectrogram for a bag of frames: their order changes nothing but which four are pooled in the
    end.

    Attributes:
        depth: layers.
        heads: attention heads.
        dropout: share dropped in training, of attention weights and of what each layer adds.

    Example:
        >>> encoder = Transformer(dim=96, heads=3).build().eval()
        >>> encoder(torch.zeros(1, 64, 400)).frames.shape
        torch.Size([1, 100, 96])
    """

    kind: Literal["Transformer"] = "Transformer"
    depth: int = Field(default=2, ge=1, le=64)
    heads: int = Field(default=8, gt=0)
    dropout: float = Field(default=0.5, ge=0, lt=1)

    @model_validator(mode="after")
    def _check(self) -> "Transformer":
        check_heads(self.dim, self.heads)
        return self

    @property
    def frame_stride(self) -> int:
        """Feature frames from one encoded frame to the next: four are pooled behind the last layer."""
        return POOL

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What each layer gives, before frames are pooled."""
        return (plain_layer(self.dim, 1),) * self.depth

    def build(self) -> "TransformerEncoder":
        """The module that computes this, freshly initialized."""
        return TransformerEncoder(self)


class TransformerEncoder(nn.Module):
    """Computes `Transformer`; see there.  Parameter names are the published ones.

    Source:
        AudioTagging Done Right; agrees with its recorded outputs.  The summary, the mean of the frames over
        time, is ours.
    """

    def __init__(self, config: Transformer) -> None:
        super().__init__()
        self.config = config
        self.linear_in = nn.Linear(config.n_bands, config.dim)
        self.layer_norm_in = nn.LayerNorm(config.dim)
        self.layer_stack = nn.ModuleList(
            PostNormLayer(config.dim, 2 * config.dim, config.heads, config.dropout)
            for _ in range(config.depth)
        )
        init_xavier(self)

    def forward(self, features: Float[Tensor, "batch band frame"], layer: int | None = None) -> Encoding:
        """Encode a batch of spectrograms.

        Args:
            features: normalized log mel; `config.n_bands` bands, at least four frames.
            layer: stop after this layer, before frames are pooled; None for the whole encoder.

        Returns:
            The maximum of every four frames, and the mean of these over time as the summary.

        Raises:
            ValueError: another number of bands, too few frames, or no such layer.
        """
        until = layers_until(layer, len(self.layer_stack))
        sequence = self.embed(features)
        for block in self.layer_stack[:until]:
            sequence = block(sequence)
        if layer is not None:
            return with_mean(sequence)
        return with_mean(nn.functional.max_pool1d(sequence.transpose(1, 2), POOL).transpose(1, 2))

    def embed(self, features: Float[Tensor, "batch band frame"]) -> Float[Tensor, "batch frame dim"]:
        """Project each frame by itself: what the first layer gets."""
        return self.layer_norm_in(self.linear_in(frames_first(features, self.config)))


class PostNormLayer(nn.Module):
    """Attention and a feed-forward layer, each normalized after it is added to its input.

    Args:
        dim: width of a token; must be a multiple of `heads`.
        hidden: width within the feed-forward layer.
        heads: attention heads.
        dropout: share dropped in training, of attention weights and of what is added.
    """

    def __init__(self, dim: int, hidden: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.slf_attn = PostNormAttention(dim, heads, dropout)
        self.pos_ffn = PostNormFeedForward(dim, hidden, dropout)

    def forward(self, x: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Attention, then the feed-forward layer."""
        return self.pos_ffn(self.slf_attn(x))


class PostNormAttention(nn.Module):
    """Multi-head self-attention, added to its input and normalized."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.w_qs, self.w_ks, self.w_vs, self.fc = (nn.Linear(dim, dim) for _ in range(4))
        self.layer_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Let every token look at every token of its clip."""
        q, k, v = (
            project(x).unflatten(2, (self.heads, -1)).transpose(1, 2)
            for project in (self.w_qs, self.w_ks, self.w_vs)
        )
        mixed = attend_dropping(q, k, v, self.dropout)
        return self.layer_norm(x + self.dropout(self.fc(mixed.transpose(1, 2).flatten(2))))


class PostNormFeedForward(nn.Module):
    """Two linear layers around a ReLU, added to their input and normalized."""

    def __init__(self, dim: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.w_1 = nn.Linear(dim, hidden)
        self.w_2 = nn.Linear(hidden, dim)
        self.layer_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Transform each token by itself."""
        return self.layer_norm(x + self.dropout(self.w_2(torch.relu(self.w_1(x)))))


def init_xavier(module: nn.Module) -> None:
    """Xavier's uniform distribution for every weight with more than one axis."""
    for parameter in module.parameters():
        if parameter.ndim > 1:
            nn.init.xavier_uniform_(parameter)
