"""What a run makes small."""

from jaxtyping import Float
from torch import Tensor, nn


def classification_loss(
    logits: Float[Tensor, "batch class"],
    targets: Float[Tensor, "batch class"],
    exclusive: bool,
    label_smoothing: float = 0.0,
) -> Float[Tensor, ""]:
    """Cross-entropy where labels exclude one another, binary cross-entropy where not.

    Args:
        logits: of the model.
        targets: probabilities: rows that sum to 1 if exclusive, each cell 0 to 1 if not.
        exclusive: the label set's bit.
        label_smoothing: exclusive: this share goes to all classes evenly; else targets shrink towards it / 2.

    Example:
        >>> import torch
        >>> logits, targets = torch.zeros(1, 4), torch.tensor([[1.0, 0.0, 0.0, 0.0]])
        >>> classification_loss(logits, targets, exclusive=True).exp()
        tensor(4.)
    """
    if exclusive:
        return nn.functional.cross_entropy(logits, targets, label_smoothing=label_smoothing)
    smooth = targets * (1 - label_smoothing) + label_smoothing / 2
    return nn.functional.binary_cross_entropy_with_logits(logits, smooth)
