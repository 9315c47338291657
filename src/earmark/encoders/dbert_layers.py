"""The parts of dBERT: learned filters, positions by convolution, post-norm layers, the mask embedding."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from earmark.encoders.layers import attend_dropping


class ConvFeatures(nn.Module):
    """Convolutions from samples to frames: no padding, no bias, a GELU after each.

    The first one is followed by a group norm with a group for each channel, so that it runs over the whole
    length of a clip: how loud a recording is makes no difference.

    Args:
        convs: channels, kernel and stride of each convolution.
        norm: see `DBERT.first_norm`.
        filters: see `DBERT.filters`.

    Source:
        wav2vec 2.0's feature encoder (Baevski et al., arXiv:2006.11477), with fairseq's parameter names.
    """

    def __init__(
        self,
        convs: Sequence[tuple[int, int, int]],
        norm: Literal["channel", "clip"] = "channel",
        filters: Literal["random", "bands"] = "random",
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        before = 1
        for channels, kernel, stride in convs:
            conv = nn.Conv1d(before, channels, kernel, stride, bias=False)
            nn.init.kaiming_normal_(conv.weight)
            if not layers and filters == "bands":
                with torch.no_grad():
                    conv.weight.copy_(band_filters(channels, kernel))
            # The second place was fairseq's dropout, which dBERT sets to 0; names count from the third on.
            normed = [nn.GroupNorm(channels if norm == "channel" else 1, channels)] if not layers else []
            layers.append(nn.Sequential(conv, nn.Identity(), *normed, nn.GELU()))
            before = channels
        self.conv_layers = nn.ModuleList(layers)

    def forward(self, waveform: Float[Tensor, "batch 1 sample"]) -> Float[Tensor, "batch frame conv"]:
        """Features of each frame."""
        features = waveform
        for layer in self.conv_layers:
            features = layer(features)
        return features.transpose(1, 2)


def band_filters(n_filters: int, kernel: int) -> Float[Tensor, "filter 1 kernel"]:
    """Filters that each let a band of frequencies pass: windowed cosines of a random phase.

    Their centers are evenly spaced in mel, from 60 to 7600 Hz at 16 kHz; a filter as short as these is wider
    than its band where bands are narrow.

    Args:
        n_filters: how many.
        kernel: their length in samples.

    Source:
        The scale is HTK's.  Filters of sound that begin as bands: Zeghidour et al., "LEAF", arXiv:2101.08596.

    Example:
        >>> filters = band_filters(40, 128)
        >>> peaks = torch.fft.rfft(filters[:, 0]).abs().argmax(dim=1) * 16000 // 128
        >>> peaks[[10, 20, 39]].tolist()
        [750, 1875, 7125]
    """
    low, high = (2595 * math.log10(1 + hz / 700) for hz in (60.0, 7600.0))
    edges = 700 * (10 ** (torch.linspace(low, high, n_filters + 2) / 2595) - 1) / 16000
    times = torch.arange(kernel) - (kernel - 1) / 2
    widths = (edges[2:] - edges[:-2])[:, None]
    window = (
        torch.hann_window(kernel + 2, periodic=False)[1:-1] * (-(times * widths * 1.5).square() / 2).exp()
    )
    phases = 2 * math.pi * torch.rand(n_filters, 1)
    filters = window * (2 * math.pi * edges[1:-1, None] * times + phases).cos()
    return math.sqrt(2) * nn.functional.normalize(filters, dim=1)[:, None]


class PositionalConv(nn.Module):
    """What a wide grouped convolution says of a frame's surroundings: its place, relative to the sound.

    Args:
        dim: width of a frame; must be a multiple of `groups`.
        kernel: frames that it sees.
        groups: of channels that are convolved by themselves.
        normed: keep the weight as direction and length (weight norm over the kernel's places), as it was
            trained; without, it is a plain weight.
    """

    def __init__(self, dim: int, kernel: int, groups: int, normed: bool = True) -> None:
        super().__init__()
        conv = nn.Conv1d(dim, dim, kernel, padding=kernel // 2, groups=groups)
        nn.init.normal_(conv.weight, std=math.sqrt(4 / (kernel * dim)))
        if conv.bias is not None:
            nn.init.zeros_(conv.bias)
        self.pos_conv = nn.Sequential(weight_norm(conv, dim=2) if normed else conv)

    def forward(self, frames: Float[Tensor, "batch frame dim"]) -> Float[Tensor, "batch frame dim"]:
        """What is to be added to the frames."""
        found = self.pos_conv(frames.transpose(1, 2)).transpose(1, 2)
        return nn.functional.gelu(found[:, : frames.shape[1]])  # an even kernel gives a frame too many


class SelfAttention(nn.Module):
    """Multi-head self-attention with the parameter names of `torch.nn.MultiheadAttention`."""

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, nn.Dropout(dropout)
        self.in_proj_weight = nn.Parameter(nn.init.xavier_uniform_(torch.empty(3 * dim, dim)))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * dim))
        self.out_proj = nn.Linear(dim, dim)
        nn.init.zeros_(self.out_proj.bias)

    def forward(
        self, x: Float[Tensor, "batch token dim"], valid: Bool[Tensor, "batch token"] | None = None
    ) -> Float[Tensor, "batch token dim"]:
        """Let every token look at the valid tokens of its clip."""
        joint = nn.functional.linear(x, self.in_proj_weight, self.in_proj_bias)
        q, k, v = joint.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mask = None if valid is None else valid[:, None, None]
        mixed = attend_dropping(q, k, v, self.dropout, mask)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))


class DBERTLayer(nn.Module):
    """Attention and feed-forward with a ReLU, each added to its input and then normalized.

    What `torch.nn.TransformerEncoderLayer` computes, with its parameter names, but for its fused path, which
    gives zeros for padding.
    """

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = SelfAttention(dim, heads, dropout)
        self.linear1 = nn.Linear(dim, hidden)
        self.linear2 = nn.Linear(hidden, dim)
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)
        self.drop = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "batch token dim"], valid: Bool[Tensor, "batch token"] | None = None
    ) -> Float[Tensor, "batch token dim"]:
        """One layer; `valid` says which tokens are no padding."""
        x = self.norm1(x + self.drop(self.self_attn(x, valid)))
        hidden = self.drop(torch.relu(self.linear1(x)))
        return self.norm2(x + self.drop(self.linear2(hidden)))


class MaskEmbedding(nn.Module):
    """A learned vector in place of what is masked.

    Args:
        dim: width of a frame.
        rule: "replace" puts the vector in place of a masked frame, as dBERT does.  "append" zeroes it and
            appends to every frame one of two vectors, which says whether it is masked: twice the width.

    Source:
        audio_dbert's mask embedding; agrees with its recorded outputs.  Deviation: it overwrites its input,
        this one does not.

    Example:
        >>> mask = torch.tensor([[True, False, False]])
        >>> MaskEmbedding(8, "append")(torch.ones(1, 3, 8), mask).shape
        torch.Size([1, 3, 16])
    """

    def __init__(self, dim: int, rule: Literal["replace", "append"] = "replace") -> None:
        super().__init__()
        self.rule = rule
        self.embedding = nn.Embedding(1 if rule == "replace" else 2, dim)

    def forward(
        self, frames: Float[Tensor, "batch frame dim"], masked: Bool[Tensor, "batch frame"]
    ) -> Float[Tensor, "batch frame wide"]:
        """Mask the frames where `masked` is true."""
        if self.rule == "replace":
            return torch.where(masked[..., None], self.embedding.weight[0], frames)
        return torch.cat([frames * ~masked[..., None], self.embedding(masked.long())], dim=-1)
