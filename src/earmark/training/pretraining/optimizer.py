"""The student's optimizer: what is decayed is what multiplies."""

from typing import Any

import torch
from torch import nn

from earmark.training.optimizing.optimizer import AdamW


def student_optimizer(network: nn.Module, config: AdamW) -> torch.optim.Optimizer:
    """AdamW of all that learns in a network.

    Biases, norms, scales, embeddings and codebooks are not decayed.

    Args:
        network: the encoder, and what learns beside it.
        config: rate, betas, eps and decay; the published reading is
            `AdamW(lr=5e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01)`.

    Returns:
        Its groups carry "scale", as those of `optimizing.optimizer.make_optimizer`.

    Example:
        >>> network = nn.ModuleDict({"linear": nn.Linear(2, 2), "embedding": nn.Embedding(1, 2)})
        >>> groups = student_optimizer(network, AdamW(weight_decay=0.01)).param_groups
        >>> [(group["weight_decay"], len(group["params"])) for group in groups]
        [(0.01, 1), (0.0, 2)]
    """
    tables = {id(one.weight) for one in network.modules() if isinstance(one, nn.Embedding)}
    groups: dict[bool, list[nn.Parameter]] = {True: [], False: []}
    for name, parameter in network.named_parameters():
        if parameter.requires_grad:
            multiplies = parameter.ndim > 1 and id(parameter) not in tables
            # original0 is the length that the weight norm keeps apart from the direction
            groups[multiplies and not name.endswith((".codebook", ".original0"))].append(parameter)
    arguments: list[dict[str, Any]] = [
        {"params": parameters, "weight_decay": config.weight_decay if decays else 0.0, "scale": 1.0}
        for decays, parameters in groups.items()
        if parameters
    ]
    return torch.optim.AdamW(arguments, lr=config.lr, betas=config.betas, eps=config.eps, fused=True)
