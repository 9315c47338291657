"""Several attentions over frames for each class."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from earmark.config import Frozen
from earmark.encoders import Encoding

TINY = 1e-7


class MultiheadAttentionHead(Frozen):
    """For each class the weighted mean of frames' values, by several attentions: EfficientAT's pooling.

    Attributes:
        heads: attentions for each class.

    Example:
        >>> head = MultiheadAttentionHead().build(96, 96, 10)
        >>> head(Encoding(frames=torch.zeros(2, 32, 96), summary=torch.zeros(2, 96))).shape
        torch.Size([2, 10])
    """

    kind: Literal["MultiheadAttentionHead"] = "MultiheadAttentionHead"
    heads: int = Field(default=4, ge=1, le=64)

    def build(self, dim: int, frame_dim: int, n_classes: int) -> "MultiheadAttentionHeadModule":
        """The module, for frames of width `frame_dim`."""
        return MultiheadAttentionHeadModule(self, frame_dim, n_classes)


class MultiheadAttentionHeadModule(nn.Module):
    """Computes `MultiheadAttentionHead`; see there.  Parameter names are the published ones.

    Source:
        EfficientAT's `multihead_attention_pooling` (arXiv:2211.04772), after PSLA (arXiv:2102.01243).
    """

    def __init__(self, config: MultiheadAttentionHead, dim: int, n_classes: int) -> None:
        super().__init__()
        self.subspace_proj = nn.Linear(dim, n_classes * 2 * config.heads)
        self.head_weight = nn.Parameter(torch.full((1, config.heads, 1), 1 / config.heads))
        nn.init.normal_(self.subspace_proj.weight, std=0.01)
        nn.init.zeros_(self.subspace_proj.bias)

    def forward(self, encoding: Encoding) -> Float[Tensor, "batch class"]:
        """The sum over heads of the weighted means."""
        both = self.subspace_proj(encoding.frames).unflatten(2, (2, self.head_weight.shape[1], -1))
        attention = both[:, :, 0].sigmoid().clamp(TINY, 1 - TINY)
        attention = attention / attention.sum(dim=1, keepdim=True)
        pooled = (attention * both[:, :, 1]).sum(dim=1)
        return (pooled * self.head_weight).sum(dim=1)
