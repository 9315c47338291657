"""Everything that a run needs in order to go on to the bit, as one file."""

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor, nn

from earmark.data import Clip
from earmark.files import commit
from earmark.models import CheckpointError
from earmark.models.tensor_file import opened, read_layout, read_tensors, write_tensors
from earmark.training.distributing.sharding import placed_like

FORMAT = "earmark-state-1"


class State(NamedTuple):
    """A run between two steps.

    Random generators are not among it: every draw is a function of the seed and these counters.

    Attributes:
        counters: plain numbers: epoch, step in it, sums of the epoch so far, the scaler's scale.
        tensors: weights as `model.…`, the optimizer's as `optimizer.…`, the average's as `average.…`.
        recipe: the recipe as JSON, to know the run by.
    """

    counters: dict[str, Any]
    tensors: dict[str, Tensor]
    recipe: str

    def part(self, name: str) -> dict[str, Tensor]:
        """The tensors whose names begin with `name.`, without that."""
        return part_of(self.tensors, name)


def part_of(tensors: Mapping[str, Shaped[Tensor, "..."]], name: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `name.`, without that.

    Example:
        >>> part_of({"a.x": torch.ones(1), "ab.y": torch.ones(2)}, "a")
        {'x': tensor([1.])}
    """
    return {key[len(name) + 1 :]: tensor for key, tensor in tensors.items() if key.startswith(f"{name}.")}


def fingerprint(clips: Iterable[Clip]) -> str:
    """What a run learns from, as a few letters: the clips' files, their times and labels, in order.

    Files count by their path inside the folder that all are in, so that a corpus may be moved.

    Args:
        clips: to learn from; what their files hold is not looked at.

    Example:
        >>> fingerprint([Clip(Path("a/1.wav"), ("dog",))]) == fingerprint([Clip(Path("b/1.wav"), ("dog",))])
        True
    """
    digest, clips = hashlib.sha256(), list(clips)
    folder = os.path.commonpath([clip.path.parent for clip in clips]) if clips else ""
    for clip in clips:
        inside = os.path.relpath(clip.path, folder)
        digest.update(repr((inside, *clip[1:])).encode("utf-8", "surrogatepass"))
    return digest.hexdigest()[:16]


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What an optimizer remembers, by `number of the parameter . what`."""
    return {
        f"{index}.{name}": value if isinstance(value, Tensor) else torch.tensor(value)
        for index, entry in optimizer.state_dict()["state"].items()
        for name, value in entry.items()
    }


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Give an optimizer its memory back."""
    memory: dict[int, dict[str, Tensor]] = {}
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    for key, tensor in tensors.items():
        index, name = key.split(".", 1)
        memory.setdefault(int(index), {})[name] = placed_like(tensor, parameters[int(index)])
    optimizer.load_state_dict({"state": memory, "param_groups": optimizer.state_dict()["param_groups"]})


def model_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Weights and buffers of a model by name."""
    return dict(model.state_dict())


def write_state(state: State, path: Path) -> None:
    """Write a state, atomically.

    Raises:
        OSError: the folder is missing, read-only or full; nothing was changed.
    """
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in state.tensors.items()}
    texts = {"format": FORMAT, "counters": json.dumps(state.counters), "recipe": state.recipe}
    with commit(path) as file:
        write_tensors(file, tensors, texts | {"digest": _digest(texts, tensors)})


def read_state(path: Path) -> State:
    """Read a state.

    Raises:
        CheckpointError: the file is missing, cut off, damaged, or none of ours.
    """
    with opened(path) as file:
        layout = read_layout(path, file)
        texts = dict(layout.metadata)
        digest = texts.pop("digest", "")
        if texts.get("format") != FORMAT:
            raise CheckpointError(path, "is no state of a training run, or one of another version of earmark")
        tensors = read_tensors(path, file, layout)
    if digest != _digest(texts, tensors):
        raise CheckpointError(path, "is damaged: its digest is not that of what it holds")
    return State(json.loads(texts["counters"]), tensors, texts["recipe"])


def _digest(texts: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(sorted(texts.items())).encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tuple(tensors[name].shape)} {tensors[name].dtype}".encode())
        digest.update(tensors[name].reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
