"""Real against centroid: the student tells real frames from centroids, the generator makes that hard.

An option.  The literal reading of what audio_dbert's author says of his clusterings: the encoder is the
discriminator, the clusterings are generators.  Each output head gets one class more, "generated", with a
learned score; real frames belong to their clusters, centroids to that class.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from earmark.encoders.clusters import CosineHead


def real_losses(
    similarities: Float[Tensor, "*n cluster"],
    clusters: Int64[Tensor, "*n"],
    generated: Float[Tensor, ""],
    temperature: float,
) -> Float[Tensor, "*n"]:
    """Cross-entropy of real vectors against their clusters, where "generated" is one more answer.

    Args:
        similarities: of a cluster head.
        clusters: of the vectors.
        generated: the learned score of "generated".
        temperature: similarities are divided by it.

    Example:
        >>> real_losses(torch.zeros(1, 3), torch.tensor([0]), torch.tensor(0.0), 0.1).exp()
        tensor([4.])
    """
    scores = _with_generated(similarities, generated, temperature)
    return -scores.log_softmax(dim=-1).gather(-1, clusters[..., None])[..., 0]


def unmasked_centroids(
    similarities: Float[Tensor, "*n cluster"], generated: Float[Tensor, ""], temperature: float
) -> Float[Tensor, ""]:
    """The student's loss on centroids: the mean of -log p("generated"); arguments as for `real_losses`."""
    scores = _with_generated(similarities, generated, temperature)
    return -scores.log_softmax(dim=-1)[..., -1].mean()


def passed_centroids(
    similarities: Float[Tensor, "*n cluster"], generated: Float[Tensor, ""], temperature: float
) -> Float[Tensor, ""]:
    """The generator's loss: the mean of -log(1 - p("generated")), 0 where every centroid passes for real.

    Source:
        The minimax term of Goodfellow et al., arXiv:1406.2661, which is bounded below.
    """
    scores = _with_generated(similarities, generated, temperature)
    return (scores.logsumexp(dim=-1) - scores[..., :-1].logsumexp(dim=-1)).mean()


def heard_by(
    head: CosineHead, centroids: Float[Tensor, "cluster dim"], summary: Float[Tensor, "summary_dim"]
) -> Float[Tensor, "cluster cluster_"]:
    """What a cluster head says of centroids, as if they were frames of a clip with this summary.

    Example:
        >>> heard_by(CosineHead(4, 8, 2), torch.randn(3, 8), torch.zeros(2)).shape
        torch.Size([3, 4])
    """
    return head(centroids[None], summary[None])[0]


def generated_scores(n_heads: int) -> nn.Parameter:
    """The learned score of "generated" for each output head."""
    return nn.Parameter(torch.zeros(n_heads))


def _with_generated(
    similarities: Float[Tensor, "*n cluster"], generated: Float[Tensor, ""], temperature: float
) -> Float[Tensor, "*n more"]:
    scores = similarities.float() / temperature
    return torch.cat([scores, generated.float().expand(*scores.shape[:-1], 1)], dim=-1)
