"""Whether a HEAR module keeps the contract: what the official validator asks, and what it does not."""

import re
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from earmark.config import ConfigError
from earmark.hear.module import RATES, HearModel

NAME = re.compile(r"\w[\w.-]*")
NEAR = 1e-3
"""So much may values differ, of the largest, that should be the same: sums come in other orders."""


class Finding(NamedTuple):
    """What a check found.

    Attributes:
        what: was asked.
        complaint: a sentence about what is wrong; None if nothing is.
        grave: whether the official validator would refuse the module; else it is a warning.
    """

    what: str
    complaint: str | None
    grave: bool = True


def find_module(name: str) -> ModuleType:
    """A module by its name in `earmark.hear`, or by its own.

    Raises:
        ConfigError: there is none, or it lacks one of the three functions.
    """
    ours = f"earmark.hear.{name.replace('-', '_')}"
    for full in (ours, name) if NAME.fullmatch(name) else ():
        try:
            found = import_module(full)
        except ModuleNotFoundError as error:
            if error.name is None or not (full == error.name or full.startswith(f"{error.name}.")):
                raise ConfigError(f"{full} cannot be imported: {error}") from None
            continue
        except (ImportError, SyntaxError) as error:
            raise ConfigError(f"{full} cannot be imported: {error}") from None
        functions = ("load_model", "get_scene_embeddings", "get_timestamp_embeddings")
        lacking = [function for function in functions if not hasattr(found, function)]
        if lacking:
            raise ConfigError(f"{full} is no HEAR module: it has no {lacking[0]}")
        return found
    raise ConfigError(
        f"no HEAR module {name!r}; give one of earmark.hear, such as passt_2level, or an own one"
    )


def check(module: ModuleType, model: Any) -> Iterator[Finding]:
    """All checks, one by one.

    Args:
        module: see `find_module`.
        model: what its `load_model` gave.
    """
    yield Finding("sample_rate is one of the five", _rate(model))
    yield Finding("sizes are whole numbers", _sizes(model))
    for seconds in (1.07, 1.98, 4.0):
        audio = _noise(2, seconds, model)
        found, times = module.get_timestamp_embeddings(audio, model)
        yield Finding(f"timestamp embeddings of {seconds} s", _shapes(found, times, model, 2))
        yield Finding(f"times of {seconds} s are regular and inside", _times(times, 1000 * seconds))
        yield Finding(
            f"times of {seconds} s cover it by 50 ms", _coverage(times, 1000 * seconds), grave=False
        )
    scene = module.get_scene_embeddings(_noise(4, 2.74, model), model)
    yield Finding("scene embeddings", _scene(scene, model))
    yield from _beyond(module, model)


def _beyond(module: ModuleType, model: Any) -> Iterator[Finding]:
    """What the official validator does not ask."""
    audio = _noise(3, 1.5, model)
    alike: list[tuple[str, Callable[[Tensor], Tensor]]] = [
        ("scene", lambda sounds: module.get_scene_embeddings(sounds, model)),
        ("timestamp", lambda sounds: module.get_timestamp_embeddings(sounds, model)[0]),
    ]
    for kind, embed in alike:
        whole = embed(audio)
        yield Finding(f"{kind} embeddings twice are the same", _same(embed(audio), whole, 0.0))
        alone = torch.cat([embed(audio[index : index + 1]) for index in range(3)])
        yield Finding(f"{kind} embeddings do not depend on the batch", _same(alone, whole, NEAR))
        for what, sounds in (("silence", torch.zeros_like(audio)), ("one sample", audio[:, :1])):
            finite = bool(embed(sounds).isfinite().all())
            yield Finding(f"{kind} embeddings of {what}", None if finite else "some are not finite")
    if not isinstance(model, HearModel):  # only ours tells times without embedding an hour
        return
    hour = 3600 * model.sample_rate + 1
    yield Finding("times do not drift over an hour", _drift(model.embedder.times(hour), 3600.0))


def _noise(sounds: int, seconds: float, model: Any) -> Tensor:
    draws = torch.Generator().manual_seed(0)
    return torch.rand(sounds, int(seconds * model.sample_rate), generator=draws) * 2 - 1


def _rate(model: Any) -> str | None:
    return None if model.sample_rate in RATES else f"it is {model.sample_rate}, not one of {RATES}"


def _sizes(model: Any) -> str | None:
    sizes = (model.scene_embedding_size, model.timestamp_embedding_size)
    return None if all(type(size) is int for size in sizes) else f"they are {sizes}"


def _shapes(found: Tensor, times: Tensor, model: Any, sounds: int) -> str | None:
    wanted = (sounds, times.shape[-1], model.timestamp_embedding_size)
    if times.ndim != 2 or tuple(found.shape) != wanted or found.dtype != torch.float32:
        return (
            f"they are {tuple(found.shape)} of {found.dtype} at {tuple(times.shape)} times; wanted {wanted}"
        )
    return None


def _times(times: Tensor, milliseconds: float) -> str | None:
    spacing = times.diff(dim=1)
    if not spacing.numel():
        return f"there is but one, at {float(times.max()):.1f} ms"
    if float(times.min()) < 0 or float(spacing.min()) <= 0:
        return (
            f"they go from {float(times[0, 0]):.1f} to {float(times[0, -1]):.1f} ms; they must rise from 0 on"
        )
    if float(spacing.max() - spacing.min()) > 1:
        return f"they are {float(spacing.min()):.1f} to {float(spacing.max()):.1f} ms apart"
    last = float(times.max())
    return f"the last is {last:.1f} ms, of {milliseconds:.1f}" if last > milliseconds else None


def _coverage(times: Tensor, milliseconds: float) -> str | None:
    if times.shape[1] < 2:
        return f"there is but one of {milliseconds:.0f} ms"
    hop = float(times.diff(dim=1).mean())
    first, last = float(times[0, 0]), float(times[0, -1])
    if hop > 50:
        return f"they are {hop:.1f} ms apart"
    if first > hop or last < milliseconds - max(hop, 50):
        return f"they go from {first:.1f} to {last:.1f} ms of {milliseconds:.1f}"
    return None


def _scene(scene: Tensor, model: Any) -> str | None:
    wanted = (4, model.scene_embedding_size)
    if tuple(scene.shape) == wanted and scene.dtype == torch.float32:
        return None
    return f"they are {tuple(scene.shape)} of {scene.dtype}; wanted {wanted} of float32"


def _same(found: Tensor, wanted: Tensor, tolerance: float) -> str | None:
    off = float((found - wanted).abs().max() / wanted.abs().max().clamp(min=1e-12))
    return None if off <= tolerance else f"they differ by {off:.1g} of the largest"


def _drift(times: list[float], seconds: float) -> str | None:
    hop = times[1] - times[0]
    expected = times[0] + hop * (len(times) - 1)
    if abs(times[-1] - expected) > 1e-3 or not seconds - 2 * hop - times[0] <= times[-1] <= seconds:
        return f"the last of {len(times)} is at {times[-1]:.4f} s, by the first two {expected:.4f} s"
    return None
