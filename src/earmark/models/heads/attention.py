"""PSLA's pooling: every class decides which frames count."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from earmark.config import Frozen
from earmark.encoders import Encoding

EDGE = 1e-7
"""Weights and pooled probabilities keep this distance from 0 and 1, as in the published code."""

Activation = Literal["sigmoid", "softmax_over_classes", "relu", "linear"]


class AttentionHead(Frozen):
    """For each class, the mean of its probability over frames, weighted by the attention that each gets.

    Attributes:
        heads: attentions for each class, whose means are summed with learned factors; one needs no factor;
            0 is the plain mean over frames.
        attention: what makes weights of the attentions' outputs.  They are then clamped and divided by their
            sum over time.  "softmax_over_classes" reproduces AudioTagging Done Right's "softmax", which is
            taken over the classes of a frame and not over time.
        value: what makes probabilities of the classifiers' outputs; published models have "sigmoid".

    Example:
        >>> head = AttentionHead().build(1408, 1408, 527)
        >>> head(Encoding(frames=torch.zeros(2, 33, 1408), summary=torch.zeros(2, 1408))).shape
        torch.Size([2, 527])
    """

    kind: Literal["AttentionHead"] = "AttentionHead"
    heads: int = Field(default=4, ge=0, le=64)
    attention: Activation = "sigmoid"
    value: Activation = "sigmoid"

    def build(self, dim: int, frame_dim: int, n_classes: int) -> "AttentionHeadModule":
        """The module, for frames of width `frame_dim`."""
        return AttentionHeadModule(self, frame_dim, n_classes)


class AttentionHeadModule(nn.Module):
    """Computes `AttentionHead`; see there.  Parameter names and shapes are the published ones.

    Source:
        Gong et al., arXiv:2102.01243, section III: `MeanPooling`, `Attention` and `MHeadAttention`.
        Deviation: it gives logits, of the pooled probability clamped to [1e-7, 1 - 1e-7] as the published
        losses clamp it; the factors of the heads are free, so that their sum may leave that range.  Computed
        in float32 in any precision: bfloat16 rounds 1 - 1e-7 to 1, whose logit is infinite.
    """

    def __init__(self, config: AttentionHead, frame_dim: int, n_classes: int) -> None:
        super().__init__()
        self.config = config

        def layers() -> nn.Module:
            several = [pointwise(frame_dim, n_classes) for _ in range(max(1, config.heads))]
            return nn.ModuleList(several) if config.heads > 1 else several[0]

        self.cla = layers()
        if config.heads > 0:
            self.att = layers()
        if config.heads > 1:
            self.head_weight = nn.Parameter(torch.full((config.heads,), 1 / config.heads))

    def forward(self, encoding: Encoding) -> Float[Tensor, "batch class"]:
        """The logit of the pooled probability."""
        return torch.logit(self.pool(encoding.frames), eps=EDGE)

    def pool(self, frames: Float[Tensor, "batch frame frame_dim"]) -> Float[Tensor, "batch class"]:
        """What the heads make of the frames together: a probability, unless the factors lead beyond."""
        grid = frames.transpose(1, 2)[..., None]
        if self.config.heads == 0:
            return self.values(self.cla, grid).mean(dim=2)
        pairs = zip(several(self.att), several(self.cla), strict=True)
        means = torch.stack([self.mean(att, cla, grid) for att, cla in pairs], dim=2)
        return (means * self.head_weight).sum(dim=2) if self.config.heads > 1 else means[:, :, 0]

    def mean(
        self, att: nn.Module, cla: nn.Module, grid: Float[Tensor, "batch dim frame 1"]
    ) -> Float[Tensor, "batch class"]:
        """One head's weighted mean over time."""
        return (self.weights(att, grid) * self.values(cla, grid)).sum(dim=2)

    def weights(
        self, att: nn.Module, grid: Float[Tensor, "batch dim frame 1"]
    ) -> Float[Tensor, "batch class frame"]:
        """How much each frame counts for each class; they sum to 1 over time."""
        weights = activated(att(grid)[..., 0].float(), self.config.attention).clamp(EDGE, 1 - EDGE)
        return weights / weights.sum(dim=2, keepdim=True)

    def values(
        self, cla: nn.Module, grid: Float[Tensor, "batch dim frame 1"]
    ) -> Float[Tensor, "batch class frame"]:
        """Each class in each frame."""
        return activated(cla(grid)[..., 0].float(), self.config.value)


def several(layer: nn.Module) -> list[nn.Module]:
    """The layers of a list, or the one."""
    return list(layer) if isinstance(layer, nn.ModuleList) else [layer]


def activated(
    grid: Float[Tensor, "batch class frame"], activation: Activation
) -> Float[Tensor, "batch class frame"]:
    """Apply an activation by its name."""
    if activation == "softmax_over_classes":
        return grid.softmax(dim=1)
    if activation == "relu":
        return grid.relu()
    return grid.sigmoid() if activation == "sigmoid" else grid


def pointwise(dim: int, n_classes: int) -> nn.Conv2d:
    """A linear layer for each frame, as a 1x1 convolution, initialized with variance 2 / dim as published."""
    layer = nn.Conv2d(dim, n_classes, 1)
    nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
