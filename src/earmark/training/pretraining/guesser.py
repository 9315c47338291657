"""The student as it is called: clips with hidden frames in, what its cluster heads say out."""

from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from earmark.encoders.clusters import CosineHead, Similarities
from earmark.encoders.dbert import DBERTEncoder
from earmark.training.pretraining.game import generated_scores, heard_by

Said = list[Float[Tensor, "_ _"]]


class Centroids(NamedTuple):
    """What is to be told from real frames.

    Attributes:
        vectors: centroids of each output clustering, as the encoder's output would be.
        summary: the clip summary that they are heard with.
    """

    vectors: list[Float[Tensor, "_ dim"]]
    summary: Float[Tensor, "summary_dim"]


class Guesser(nn.Module):
    """An encoder with cluster heads, and what learns beside them.

    Args:
        encoder: it is shared, not copied.
        conv_gradient: the gradient of the convolutions is multiplied by it.
        plays: whether output heads also tell centroids from real frames; see `game`.

    Attributes:
        generated: each output head's score of "generated"; None if they do not play.
    """

    def __init__(self, encoder: DBERTEncoder, conv_gradient: float = 1.0, plays: bool = False) -> None:
        super().__init__()
        self.encoder, self.conv_gradient = encoder, conv_gradient
        self.generated = generated_scores(len(encoder.o_heads)) if plays else None

    def forward(
        self,
        waveform: Float[Tensor, "batch 1 sample"],
        hidden: Bool[Tensor, "batch frame"],
        lengths: Int64[Tensor, "batch"] | None = None,
        centroids: Centroids | None = None,
    ) -> tuple[Similarities, Said]:
        """Guess.

        Args:
            waveform: the clips.
            hidden: frames that are not to be seen.
            lengths: frames of each clip; None if nothing is padding.
            centroids: to tell from real frames; None to leave the game out.

        Returns:
            What the heads say of the clips, and what the output heads say of their centroids.
        """
        conv = _ScaledGradient.apply(self.encoder.conv_features(waveform), self.conv_gradient)
        encoding = self.encoder.contextualize(conv, masked=hidden, lengths=lengths)
        return self.encoder.similarities(encoding), self.said_of(centroids)

    def said_of(self, centroids: Centroids | None) -> Said:
        """What each output head says of its centroids."""
        if centroids is None:
            return []
        heads = [head for head in self.encoder.o_heads if isinstance(head, CosineHead)]
        pairs = zip(heads, centroids.vectors, strict=True)
        return [heard_by(head, vectors, centroids.summary) for head, vectors in pairs]


class _ScaledGradient(torch.autograd.Function):
    """The same values; the gradient times a factor."""

    @staticmethod
    def forward(ctx: Any, values: Float[Tensor, "..."], factor: float) -> Float[Tensor, "..."]:
        ctx.factor = factor
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, *grads: Float[Tensor, "..."]) -> tuple[Float[Tensor, "..."], None]:
        return grads[0] * ctx.factor, None
