"""The optimizer: which weights learn, and how fast."""

import re
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import nn

from earmark.config import ConfigError, Frozen
from earmark.training.optimizing.kinds import otherwise

Beta = Annotated[float, Field(ge=0, lt=1)]


class Optimizer(Frozen):
    """What all optimizers have in common.

    Attributes:
        lr: the highest rate of the schedule.
        weight_decay: see each optimizer.
        betas: of the averages of the gradient and of its square.
        eps: added to the root of the latter.
        layer_decay: each layer of the encoder learns at this factor times the rate of the layer above it; the
            last one at this factor times the head's; 1 for the same rate everywhere.
        head_factor: the head's rate is multiplied by it.
        freeze: "encoder" leaves all of the encoder as it is, a number its first layers and what lies below
            them; "none" nothing.
    """

    lr: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    eps: float = Field(default=1e-8, gt=0)
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    head_factor: float = Field(default=1.0, gt=0, le=1e6)
    freeze: Literal["none", "encoder"] | Annotated[int, Field(ge=1, le=10_000)] = "none"


class AdamW(Optimizer):
    """AdamW, fused.

    Attributes:
        weight_decay: of matrices and filters; biases, norms and scales are not decayed.
        decay_all: decay every parameter, as PaSST's training code.
    """

    kind: Literal["AdamW"] = "AdamW"
    decay_all: bool = False


class Adam(Optimizer):
    """Adam, fused, with the published settings of AST, PSLA and AudioTagging Done Right.

    Attributes:
        weight_decay: added to the gradient of every parameter, not to the step.
    """

    kind: Literal["Adam"] = "Adam"
    weight_decay: float = Field(default=5e-7, ge=0)
    betas: tuple[Beta, Beta] = (0.95, 0.999)


OptimizerConfig = Annotated[Adam | AdamW, Field(discriminator="kind"), otherwise("AdamW")]


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """The optimizer of the parameters that learn.

    Fused, because it steps several times faster than the loop over parameters, on CPUs too.

    Args:
        model: with an `encoder`, if layers shall learn at different rates.
        config: what to make.

    Returns:
        Its groups carry "scale": the schedule sets a group's rate to lr * factor * scale.

    Raises:
        ConfigError: nothing is left to learn, or the encoder has no numbered layers to tell apart.
    """
    freeze(model, config.freeze)
    scales = _scales(model, config)
    decayed = {
        name for name, p in model.named_parameters() if p.ndim > 1 or config.kind == "Adam" or _all(config)
    }
    groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((scales[name], name in decayed), []).append(parameter)
    if not groups:
        raise ConfigError(
            f"optimizer.freeze is {config.freeze!r} and the model has no head: nothing is left to learn"
        )
    arguments: list[dict[str, Any]] = [
        {
            "params": parameters,
            "weight_decay": config.weight_decay if decays else 0.0,
            "scale": scale,
            "lr": config.lr * scale,
        }
        for (scale, decays), parameters in groups.items()
    ]
    kind = torch.optim.Adam if config.kind == "Adam" else torch.optim.AdamW
    return kind(arguments, lr=config.lr, betas=config.betas, eps=config.eps, fused=True)


def freeze(model: nn.Module, what: Literal["none", "encoder"] | int) -> None:
    """Leave part of the encoder as it is: its parameters get no gradient.

    Args:
        model: with an `encoder`, unless `what` is "none".
        what: "none", "encoder", or how many of its first layers; what lies below them is frozen with them.

    Raises:
        ConfigError: the encoder has no numbered layers, or not so many.
    """
    if what == "none":
        return
    encoder = _encoder(model)
    depths = dict.fromkeys((n for n, _ in encoder.named_parameters()), 0)
    if what != "encoder":
        depths = layer_numbers(encoder)
        if what > max(depths.values()):
            raise ConfigError(
                f"optimizer.freeze is {what} but {type(encoder).__name__} has {max(depths.values())} layers; "
                'give fewer, or "encoder"'
            )
    most = 0 if what == "encoder" else int(what)
    for name, parameter in encoder.named_parameters():
        if depths[name] <= most:
            parameter.requires_grad_(False)


def train_mode(model: nn.Module) -> None:
    """Put a model into training mode, but for parts that are wholly frozen.

    Their dropout stays off, and their batch norms keep the statistics that they were trained with.

    Example:
        >>> model = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 1))
        >>> _ = model[0].requires_grad_(False)
        >>> train_mode(model)
        >>> model[0].training, model[1].training
        (False, True)
    """
    model.train()
    for module in model.modules():
        parameters = list(module.parameters())
        if parameters and not any(p.requires_grad for p in parameters):
            module.eval()


def layer_numbers(encoder: nn.Module) -> dict[str, int]:
    """The layer that each parameter of an encoder belongs to: 0 below the first, then 1, 2, ... in order.

    Layers are the members of the encoder's numbered lists, in the order in which they were defined.  What is
    defined behind them, such as a last norm, belongs to the last.

    Raises:
        ConfigError: there are none.

    Example:
        >>> from earmark.encoders import PaSST
        >>> numbers = layer_numbers(PaSST(dim=8, depth=2, heads=1).build())
        >>> [numbers[name] for name in ("patch_embed.proj.weight", "blocks.0.norm1.weight", "norm.weight")]
        [0, 1, 2]
    """
    names = [name for name, _ in encoder.named_parameters()]
    numbered = [re.match(r"\w+?\.\d+(?=\.)", name) for name in names]
    layers = list(dict.fromkeys(match.group() for match in numbered if match))
    if len(layers) < 2:
        raise ConfigError(
            f"{type(encoder).__name__} has no numbered layers, so none can be frozen or slowed alone; take "
            'layer_decay 1, and freeze "none" or "encoder"'
        )
    first = next(index for index, match in enumerate(numbered) if match)
    depths: dict[str, int] = {}
    for index, (name, match) in enumerate(zip(names, numbered, strict=True)):
        below = 0 if index < first else len(layers)
        depths[name] = layers.index(match.group()) + 1 if match else below
    return depths


def _scales(model: nn.Module, config: Optimizer) -> dict[str, float]:
    """Each parameter's factor of the rate, by name."""
    scales = {name: 1.0 for name, _ in model.named_parameters()}
    if config.layer_decay < 1:
        numbers = layer_numbers(_encoder(model))
        above = max(numbers.values()) + 1
        scales |= {f"encoder.{name}": config.layer_decay ** (above - n) for name, n in numbers.items()}
    heads = [name for name in scales if name.startswith("head.")]
    return scales | dict.fromkeys(heads, config.head_factor)


def _encoder(model: nn.Module) -> nn.Module:
    encoder = getattr(model, "encoder", None)
    if not isinstance(encoder, nn.Module):
        raise ConfigError(f"{type(model).__name__} has no encoder, so its layers cannot be told apart")
    return encoder


def _all(config: Optimizer) -> bool:
    return isinstance(config, AdamW) and config.decay_all
