"""Cluster heads: how similar a vector is to each entry of a learned codebook."""

from typing import Annotated, NamedTuple

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from earmark.config import Frozen

Sizes = Annotated[
    tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...],
    Field(max_length=32),
]


class Clusters(Frozen):
    """The cluster heads of a pre-trained encoder: for each place, the number of clusters of each head.

    Attributes:
        summary: heads on the clip summary.
        conv: heads that are trained against clusters of the convolutional features.
        output: heads that are trained against clusters of the encoded frames.

    Example:
        >>> Clusters(output=(100, 500)).output
        (100, 500)
    """

    summary: Sizes = (100,)
    conv: Sizes = (100,)
    output: Sizes = (100,)


class Similarities(NamedTuple):
    """What the cluster heads say, -1 to 1, one tensor for each head.

    Attributes:
        summary: of the clip summary.
        conv: of each frame, against clusters of the convolutional features.
        output: of each frame, against clusters of the encoded frames.
    """

    summary: list[Float[Tensor, "batch _"]]
    conv: list[Float[Tensor, "batch frame _"]]
    output: list[Float[Tensor, "batch frame _"]]


class CosineHead(nn.Module):
    """The cosine between a projected vector and each row of a codebook.

    Args:
        n_clusters: rows of the codebook.
        dim: width of a vector.
        summary_dim: width of the clip summary that is put before each vector; 0 for none.

    Source:
        audio_dbert's `ClsHead2` (github.com/RF5/audio_dbert); agrees with its recorded outputs.

    Example:
        >>> head = CosineHead(100, 512, summary_dim=128)
        >>> head(torch.randn(2, 49, 512), torch.randn(2, 128)).shape
        torch.Size([2, 49, 100])
    """

    def __init__(self, n_clusters: int, dim: int, summary_dim: int = 0) -> None:
        super().__init__()
        self.proj = nn.Linear(summary_dim + dim, dim, bias=False)
        self.codebook = nn.Parameter(0.2 * torch.randn(n_clusters, dim))

    def forward(
        self,
        vectors: Float[Tensor, "batch *frame dim"],
        summary: Float[Tensor, "batch summary_dim"] | None = None,
    ) -> Float[Tensor, "batch *frame cluster"]:
        """Compare vectors with the codebook.

        Args:
            vectors: one for each clip, or one for each frame.
            summary: of the clips; every frame of a clip gets the same one.
        """
        if summary is not None:
            shared = summary.view(len(summary), *(1,) * (vectors.ndim - 2), -1)
            vectors = torch.cat([shared.expand(*vectors.shape[:-1], -1), vectors], dim=-1)
        projected = nn.functional.normalize(self.proj(vectors), dim=-1)
        return projected @ nn.functional.normalize(self.codebook, dim=-1).T
