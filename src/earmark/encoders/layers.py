"""The pre-norm transformer block that the spectrogram transformers share."""

from itertools import product

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

LONG = 250
"""Tokens above which bfloat16 attention on a processor goes head by head."""


class Attention(nn.Module):
    """Multi-head self-attention with one projection for queries, keys and values.

    Args:
        dim: width of a token; must be a multiple of `heads`.
        heads: attention heads.
        bias: whether queries, keys and values have one.
        dropout: share of what is added to the tokens that is dropped in training.
    """

    def __init__(self, dim: int, heads: int, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(dim, 3 * dim, bias=bias)
        self.proj = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, x: Float[Tensor, "batch token dim"], first: int | None = None
    ) -> Float[Tensor, "batch _ dim"]:
        """Let every token look at every token of its clip.

        Args:
            x: the tokens.
            first: give only so many tokens from the start, which look at all; None gives all.
        """
        batch, token, dim = x.shape
        q, k, v = self.qkv(x).view(batch, token, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        mixed = attend(q[:, :, :first], k, v)
        return self.dropout(self.proj(mixed.transpose(1, 2).flatten(2)))


class FeedForward(nn.Module):
    """Two linear layers around an exact GELU, with dropout behind each."""

    def __init__(self, dim: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden)
        self.fc2 = nn.Linear(hidden, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "batch token dim"]) -> Float[Tensor, "batch token dim"]:
        """Transform each token by itself."""
        return self.dropout(self.fc2(self.dropout(nn.functional.gelu(self.fc1(x)))))


class Block(nn.Module):
    """A pre-norm transformer block, with timm's parameter names.

    Args:
        dim: width of a token; must be a multiple of `heads`.
        heads: attention heads.
        mlp_ratio: width of the hidden layer over `dim`.
        eps: of both layer norms.
        qkv_bias: whether queries, keys and values have a bias.
        dropout: share of the outputs dropped in training; the attention itself keeps all.
    """

    def __init__(
        self,
        dim: int,
        heads: int,
        mlp_ratio: float = 4.0,
        eps: float = 1e-6,
        qkv_bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dim, eps=eps)
        self.attn = Attention(dim, heads, qkv_bias, dropout)
        self.norm2 = nn.LayerNorm(dim, eps=eps)
        self.mlp = FeedForward(dim, int(dim * mlp_ratio), dropout)

    def forward(
        self, x: Float[Tensor, "batch token dim"], first: int | None = None
    ) -> Float[Tensor, "batch _ dim"]:
        """Attention, then the feed-forward layer, each added to its input.

        Args:
            x: the tokens.
            first: give only so many tokens from the start: the same ones, for less work.  None gives all.
        """
        x = x[:, :first] + self.attn(self.norm1(x), first)
        return x + self.mlp(self.norm2(x))


def attend(
    q: Float[Tensor, "batch head query width"],
    k: Float[Tensor, "batch head token width"],
    v: Float[Tensor, "batch head token width"],
) -> Float[Tensor, "batch head query width"]:
    """Scaled dot-product attention, by the faster of two ways.

    Torch's fused kernel gains nothing from bfloat16 on a processor.  There a long sequence goes head by head,
    so that the products are large and a head's scores stay in the cache; with gradients it would have to keep
    those scores.
    """
    if q.device.type != "cpu" or k.shape[2] <= LONG or torch.is_grad_enabled():
        return nn.functional.scaled_dot_product_attention(q, k, v)
    if torch.is_autocast_enabled("cpu"):
        q, k, v = (tensor.to(torch.get_autocast_dtype("cpu")) for tensor in (q, k, v))
    if q.dtype != torch.bfloat16:
        return nn.functional.scaled_dot_product_attention(q, k, v)
    scale = q.shape[3] ** -0.5
    mixed = torch.empty_like(q)
    for clip, head in product(range(q.shape[0]), range(q.shape[1])):
        scores = (q[clip, head] * scale) @ k[clip, head].T
        mixed[clip, head] = scores.softmax(dim=-1) @ v[clip, head]
    return mixed


def attend_dropping(
    q: Float[Tensor, "batch head query width"],
    k: Float[Tensor, "batch head token width"],
    v: Float[Tensor, "batch head token width"],
    dropout: nn.Dropout,
    mask: Bool[Tensor, "batch 1 1 token"] | None = None,
) -> Float[Tensor, "batch head query width"]:
    """Scaled dot-product attention whose weights are dropped in training.

    Args:
        q: queries.
        k: keys.
        v: values.
        dropout: of the weights.  Torch's fused kernel has its own; for one that knows its share of a batch
            (`training/dropping.py`) the weights are written out.
        mask: tokens that may be looked at; None for all.
    """
    if not dropout.training or getattr(dropout, "share", None) is None:
        dropped = dropout.p if dropout.training else 0.0
        return nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropped)
    scores = (q * q.shape[3] ** -0.5) @ k.transpose(2, 3)
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return dropout(scores.softmax(dim=-1)) @ v


def init_transformer(module: nn.Module) -> None:
    """Truncated normal of deviation 0.02 for linear weights, zero biases; for `nn.Module.apply`."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:  # pyright: ignore[reportUnnecessaryComparison]  # torch's stub forgets None
            nn.init.zeros_(module.bias)


def trunc_normal(*shape: int) -> nn.Parameter:
    """A learned table drawn from a truncated normal of deviation 0.02."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(*shape), std=0.02))


def check_heads(dim: int, heads: int) -> None:
    """Refuse a width that heads do not divide.

    Raises:
        ValueError: `dim` is no multiple of `heads`.
    """
    if dim % heads:
        raise ValueError(f"dim is {dim} but heads is {heads}; dim must be a multiple of heads")
