"""A linear layer on the clip summary."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from earmark.config import Frozen
from earmark.encoders import Encoding


class LinearHead(Frozen):
    """A linear layer on the clip summary.

    Attributes:
        norm: a layer norm first, as in PaSST.
        carry_distillation: hold PaSST's second classifier, which its forward pass never uses, as buffers, so
            that a published checkpoint can be written back whole.
        eps: of the layer norm.
        relu: cut negative logits off, as the published minimal AST does.  A class whose logit is negative
            for all clips then learns nothing; it is here to reproduce that model's figures.
    """

    kind: Literal["LinearHead"] = "LinearHead"
    norm: bool = True
    carry_distillation: bool = False
    eps: float = Field(default=1e-5, gt=0, le=0.1)
    relu: bool = False

    def build(self, dim: int, frame_dim: int, n_classes: int) -> "LinearHeadModule":
        """The module, for a summary of width `dim`."""
        return LinearHeadModule(self, dim, n_classes)


class LinearHeadModule(nn.Module):
    """Computes `LinearHead`; see there."""

    reads_frames = False

    def __init__(self, config: LinearHead, dim: int, n_classes: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim, eps=config.eps) if config.norm else nn.Identity()
        self.linear = nn.Linear(dim, n_classes)
        self.activation = nn.ReLU() if config.relu else nn.Identity()
        nn.init.trunc_normal_(self.linear.weight, std=0.02)
        nn.init.zeros_(self.linear.bias)
        if config.carry_distillation:
            self.register_buffer("distillation_weight", torch.zeros(n_classes, dim))
            self.register_buffer("distillation_bias", torch.zeros(n_classes))

    def forward(self, encoding: Encoding) -> Float[Tensor, "batch class"]:
        """Logits of the clip summary."""
        return self.activation(self.linear(self.norm(encoding.summary)))
