"""A change of weights that is made whole or not at all."""

import math
from collections.abc import Callable, Iterable
from typing import TypeVar

import torch
from torch import nn

from earmark.training.learning import Outcome

Found = TypeVar("Found")


def change(
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    parameters: Iterable[nn.Parameter],
    loss: float,
    clip_norm: float | None,
) -> Outcome:
    """Change weights by their gradients, if loss and gradient are finite.

    Args:
        optimizer: of the weights.
        scaler: that the loss was multiplied by.
        parameters: whose gradients are looked at.
        loss: of the whole batch.
        clip_norm: a longer gradient is shortened to this; None for never.
    """
    scaler.unscale_(optimizer)
    gradients = [p.grad for p in parameters if p.grad is not None]
    norm = float(torch.nn.utils.get_total_norm(gradients))
    if not (math.isfinite(loss) and math.isfinite(norm)):
        return Outcome(loss, norm, applied=False)
    if clip_norm is not None and norm > clip_norm:
        for gradient in gradients:
            gradient.mul_(clip_norm / norm)
    scaler.step(optimizer)
    scaler.update()
    return Outcome(loss, norm, applied=True)


def attempted(
    scaler: torch.amp.GradScaler, attempt: Callable[[], Found], outcome: Callable[[Found], Outcome]
) -> Found:
    """A step; in fp16 one whose gradient is too large for it is computed again at half the scale.

    Args:
        scaler: of the gradients.
        attempt: computes the step.
        outcome: what came of it.
    """
    begun = scaler.get_scale()
    found = attempt()
    while outcome(found).overflowed and scaler.get_scale() > 1:
        scaler.update(scaler.get_scale() / 2)
        found = attempt()
    if scaler.is_enabled() and not outcome(found).applied:
        scaler.update(begun)  # it was not the scale
    return found
