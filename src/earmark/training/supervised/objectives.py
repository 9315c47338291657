"""What a run makes small."""

from jaxtyping import Bool, Float
from torch import Tensor, nn


def clip_losses(
    logits: Float[Tensor, "batch class"],
    targets: Float[Tensor, "batch class"],
    known: Bool[Tensor, "batch class"] | None,
    exclusive: bool,
    label_smoothing: float = 0.0,
) -> Float[Tensor, "batch"]:
    """Cross-entropy where labels exclude one another, binary cross-entropy where not, clip by clip.

    Args:
        logits: of the model.
        targets: probabilities: rows that sum to 1 if exclusive, each cell 0 to 1 if not.
        known: cells that count; the mean is still over all classes, as published for OpenMIC.
        exclusive: the label set's bit.
        label_smoothing: exclusive: this share goes to all classes evenly; else targets shrink towards it / 2.

    Returns:
        One loss for each clip; their mean is that of the batch.

    Raises:
        ValueError: labels exclude one another and yet some are unknown.

    Source:
        For models that pool probabilities p, logit(p) and this loss give what AudioTagging Done Right
        computes from clamped probabilities.

    Example:
        >>> import torch
        >>> logits, targets = torch.zeros(1, 4), torch.tensor([[1.0, 0.0, 0.0, 0.0]])
        >>> clip_losses(logits, targets, None, exclusive=True).exp()
        tensor([4.])
        >>> known = torch.tensor([[True, True, False, False]])
        >>> clip_losses(logits, targets, known, exclusive=False) * 2 / torch.tensor(2.0).log()
        tensor([1.])
    """
    if exclusive:
        if known is not None:
            raise ValueError(
                "labels that exclude one another cannot be unknown one by one; leave such clips out, or make "
                "the label set not exclusive"
            )
        return nn.functional.cross_entropy(logits, targets, label_smoothing=label_smoothing, reduction="none")
    smooth = targets * (1 - label_smoothing) + label_smoothing / 2 if label_smoothing else targets
    cells = nn.functional.binary_cross_entropy_with_logits(logits, smooth, reduction="none")
    return (cells if known is None else cells * known).mean(dim=1)
