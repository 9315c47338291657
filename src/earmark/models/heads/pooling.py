"""Frames to class probabilities, and these pooled over time."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earmark.config import Frozen
from earmark.encoders import Encoding

FLOOR = 1e-7

Pooling = Literal["max", "mean", "linear", "exp", "attention", "mixed"]


class PoolingHead(Frozen):
    """A classifier on each frame, whose probabilities are pooled over time; gives the logit of the result.

    Attributes:
        pooling: "max", "mean"; "linear" and "exp", means that weight a probability by itself and by its
            exponential; "attention", a mean with learned weights for each class; or "mixed", all five,
            weighed anew for each clip and class.
        attention: what makes attention sum to 1 over time: a "softmax", or a "sigmoid" divided by its sum.
        probability: "sigmoid" of the classifier; or "clamped", its plain output cut to 0 and 1: what the
            published FNet does, which forgot the sigmoid (and holds its attention at 1e-7 or more).

    Example:
        >>> import torch
        >>> head = PoolingHead(pooling="linear").build(dim=8, frame_dim=8, n_classes=3)
        >>> head(Encoding(frames=torch.zeros(2, 50, 8), summary=torch.zeros(2, 8))).shape
        torch.Size([2, 3])
    """

    kind: Literal["PoolingHead"] = "PoolingHead"
    pooling: Pooling = "attention"
    attention: Literal["softmax", "sigmoid"] = "softmax"
    probability: Literal["sigmoid", "clamped"] = "sigmoid"

    def build(self, dim: int, frame_dim: int, n_classes: int) -> "PoolingHeadModule":
        """The module, for frames of width `frame_dim`."""
        return PoolingHeadModule(self, frame_dim, n_classes)


class PoolingHeadModule(nn.Module):
    """Computes `PoolingHead`; see there.  Parameter names are the published ones of TALNet.

    Source:
        Wang et al., arXiv:1810.09050 (the five poolings), and `NewNet` of AudioTagging Done Right (the
        mixture), with whose recorded outputs it agrees; attention by sigmoids is that of the latter's FFNet.
        NewNet's pooling "h-att" is the linear one, but for the last frames where their number is no multiple
        of five: it leaves them out.  Deviation: computed in float32 in any precision, because half precision
        has no number close enough to 1.
    """

    def __init__(self, config: PoolingHead, frame_dim: int, n_classes: int) -> None:
        super().__init__()
        self.config = config
        self.fc_prob = _linear(frame_dim, n_classes)
        if config.pooling in ("attention", "mixed"):
            self.fc_att = _linear(frame_dim, n_classes)
        if config.pooling == "mixed":
            self.ens = nn.Linear(5, 5)

    def forward(self, encoding: Encoding) -> Float[Tensor, "batch class"]:
        """Logits of the pooled probabilities."""
        return torch.logit(self.pool(encoding.frames), eps=FLOOR)

    def frame_probabilities(
        self, frames: Float[Tensor, "batch frame frame_dim"]
    ) -> Float[Tensor, "batch frame class"]:
        """What is heard when: the probability of each class in each frame."""
        raw = self.fc_prob(frames).float()
        raw = raw.sigmoid() if self.config.probability == "sigmoid" else raw
        return raw.clamp(FLOOR, 1 - FLOOR)

    def attention(self, frames: Float[Tensor, "batch frame frame_dim"]) -> Float[Tensor, "batch frame class"]:
        """How much each frame weighs for each class; sums to 1 over time."""
        raw = self.fc_att(frames).float()
        if self.config.attention == "softmax" and self.config.probability == "sigmoid":
            return raw.softmax(dim=1)
        weights = raw.softmax(dim=1) if self.config.attention == "softmax" else raw.sigmoid()
        weights = weights.clamp(FLOOR, 1 - FLOOR)
        return weights / weights.sum(dim=1, keepdim=True)

    def mixture(self, pooled: Float[Tensor, "batch 5 class"]) -> Float[Tensor, "batch 5 class"]:
        """How much each of the five poolings weighs for each class, in the order that `PoolingHead` has."""
        raw = self.ens(pooled.transpose(1, 2).to(self.ens.weight.dtype)).float()
        return raw.softmax(dim=2).transpose(1, 2)

    def poolings(self, frames: Float[Tensor, "batch frame frame_dim"]) -> Float[Tensor, "batch 5 class"]:
        """The probability of each class in the whole clip by each of the five poolings."""
        p = self.frame_probabilities(frames)
        pooled = [pool_over_time(p, each) for each in ("max", "mean", "linear", "exp")]
        return torch.stack([*pooled, (p * self.attention(frames)).sum(dim=1)], dim=1)

    def pool(self, frames: Float[Tensor, "batch frame frame_dim"]) -> Float[Tensor, "batch class"]:
        """The probability of each class in the whole clip."""
        pooling = self.config.pooling
        if pooling == "mixed":
            pooled = self.poolings(frames)
            return (pooled * self.mixture(pooled)).sum(dim=1)
        p = self.frame_probabilities(frames)
        if pooling == "attention":
            return (p * self.attention(frames)).sum(dim=1)
        return pool_over_time(p, pooling)


def pool_over_time(
    probabilities: Float[Tensor, "batch frame class"], pooling: Literal["max", "mean", "linear", "exp"]
) -> Float[Tensor, "batch class"]:
    """Pool the probabilities of frames to those of clips.

    Args:
        probabilities: above 0, 1 at most.
        pooling: "max"; or a mean whose weights are all equal ("mean"), the probabilities ("linear"), or their
            exponentials ("exp").

    Example:
        >>> p = torch.tensor([[[0.1], [0.9]]])
        >>> [round(float(pool_over_time(p, how)), 2) for how in ("max", "mean", "linear", "exp")]
        [0.9, 0.5, 0.82, 0.65]
    """
    if pooling == "max":
        return probabilities.amax(dim=1)
    if pooling == "mean":
        return probabilities.mean(dim=1)
    weights = probabilities if pooling == "linear" else probabilities.exp()
    return (probabilities * weights).sum(dim=1) / weights.sum(dim=1)


def _linear(frame_dim: int, n_classes: int) -> nn.Linear:
    layer = nn.Linear(frame_dim, n_classes)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
