"""The optimizer, its schedule, and the average of the weights."""

import math

import torch
from torch import nn

from earmark.training.recipe import AdamW, Cosine


def make_optimizer(model: nn.Module, config: AdamW) -> torch.optim.AdamW:
    """Fused AdamW that decays matrices and filters but neither biases nor norms.

    Fused, because it steps several times faster than the loop over parameters, on CPUs too.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.lr, fused=True)


def cosine_factor(step: int, n_steps: int, schedule: Cosine) -> float:
    """What the highest rate is multiplied by at a step, counted from 0.

    Example:
        >>> [round(cosine_factor(step, 10, Cosine(warmup=0.2)), 2) for step in (0, 1, 2, 6, 9)]
        [0.5, 1.0, 1.0, 0.5, 0.04]
    """
    rise = round(schedule.warmup * n_steps)
    if step < rise:
        return (step + 1) / rise
    return 0.5 * (1 + math.cos(math.pi * (step - rise) / max(1, n_steps - rise)))


class WeightAverage:
    """An exponential average of a model's parameters and buffers.

    Early on the decay is (1 + n) / (10 + n) after n updates, so that the random start does not linger.

    Args:
        model: whose weights are averaged.
        decay: share of the average that is kept at each update, once the start is forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.updates = 0
        self.average = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move the average towards the model's weights; counters are copied."""
        self.updates += 1
        keep = min(self.decay, (1 + self.updates) / (10 + self.updates))
        for name, tensor in model.state_dict().items():
            if tensor.is_floating_point():
                self.average[name].lerp_(tensor, 1 - keep)
            else:
                self.average[name].copy_(tensor)
