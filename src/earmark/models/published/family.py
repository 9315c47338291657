"""What a family of published models is, and how its weights become a `Tagger`."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from torch import Tensor

from earmark.config import ConfigError, override
from earmark.labels import OF_CORPORA, LabelSet, audioset_labels
from earmark.models.checkpoint import CheckpointError
from earmark.models.tagger import Tagger, TaggerConfig

State = Mapping[str, Tensor]
MAX_CLASSES = 100_000


class Origin(NamedTuple):
    """Where weights come from.

    Attributes:
        name: file or name, for errors; it may also tell what weights do not, such as the hop.
        notes: texts that stood beside the weights, by name, such as audio_dbert's `cfg_yaml_string`.
    """

    name: str
    notes: Mapping[str, str] = {}


class Family(NamedTuple):
    """A family of published models.

    Attributes:
        name: what errors call it.
        recognizes: whether a state dict has the names that only this family has.
        describe: the description of a state dict's model, read off its shapes; raises `CheckpointError`.
        to_published: a whole model's state dict to the published names; it must work without memory (meta
            tensors), because the shapes are checked against it.
        from_published: the way back; it gets every name that `to_published` gives, and no other.
        writes: whether a description is one of this family.
        ignored: beginnings of published names that are not part of the model.
        file: a whole model to what its authors' own program reads; None where that is `to_published` alone.
    """

    name: str
    recognizes: Callable[[State], bool]
    describe: Callable[[State, Origin], TaggerConfig]
    to_published: Callable[[TaggerConfig, State], State]
    from_published: Callable[[TaggerConfig, State], State]
    writes: Callable[[TaggerConfig], bool]
    ignored: tuple[str, ...] = ()
    file: Callable[[Tagger], Mapping[str, Any]] | None = None


def fill(family: Family, state: State, origin: Origin, settings: Iterable[str] = ()) -> Tagger:
    """The model that published weights make, in evaluation mode, as float32.

    Args:
        family: whose weights they are.
        state: weights by their published names.
        origin: where they come from.
        settings: `path=value` corrections of the description, for what weights do not tell.

    Raises:
        CheckpointError: the weights do not fit together; each parameter that differs is told.
    """
    state = {name: tensor for name, tensor in state.items() if not name.startswith(family.ignored or "\0")}
    try:
        config = override(family.describe(state, origin), settings)
        tagger = Tagger(config, hollow=True)
    except ConfigError as error:
        raise CheckpointError(origin.name, f"its weights make no {family.name}: {error}") from None
    wanted = family.to_published(config, tagger.state_dict())
    told = list(_differences(state, wanted))
    if told:
        more = f"; and {len(told) - 8} more" if len(told) > 8 else ""
        raise CheckpointError(
            origin.name, f"its weights do not fit a {family.name}: " + "; ".join(told[:8]) + more
        )
    weights = {name: t.float() if t.is_floating_point() else t for name, t in state.items()}
    tagger.load_state_dict(dict(family.from_published(config, weights)), assign=True)
    for parameter in tagger.parameters():
        parameter.requires_grad_(True)
    return tagger.eval()


def _differences(found: State, wanted: State) -> Iterator[str]:
    """One clause for each parameter that is missing, foreign, or of another shape or type."""
    for name in sorted(wanted.keys() | found.keys()):
        if name not in found:
            yield f"{name} is missing"
        elif name not in wanted:
            yield f"{name:.100} is not part of it"
        elif found[name].shape != wanted[name].shape:
            yield f"{name} is {tuple(found[name].shape)} but must be {tuple(wanted[name].shape)}"
        elif found[name].is_floating_point() != wanted[name].is_floating_point():
            kind = "floating-point" if wanted[name].is_floating_point() else "whole"
            yield f"{name} holds {found[name].dtype} but must hold {kind} numbers"


def renamed(state: State, beginnings: Mapping[str, str]) -> dict[str, Tensor]:
    """Change the beginnings of names; the longest that fits is taken.

    Raises:
        KeyError: no beginning fits a name.

    Example:
        >>> import torch
        >>> state = {"encoder.norm.bias": torch.zeros(2), "head.norm.bias": torch.ones(2)}
        >>> list(renamed(state, {"encoder.": "", "head.norm.": "head.0."}))
        ['norm.bias', 'head.0.bias']
    """
    ordered = sorted(beginnings, key=len, reverse=True)
    new: dict[str, Tensor] = {}
    for name, tensor in state.items():
        fitting = next((beginning for beginning in ordered if name.startswith(beginning)), None)
        if fitting is None:
            raise KeyError(name)
        new[beginnings[fitting] + name[len(fitting) :]] = tensor
    return new


def swapped(beginnings: Mapping[str, str]) -> dict[str, str]:
    """The same table for the way back."""
    return {theirs: ours for ours, theirs in beginnings.items()}


def shape_of(state: State, key: str, n_axes: int, origin: Origin, family: str) -> tuple[int, ...]:
    """The shape of a tensor that must be there.

    Raises:
        CheckpointError: it is missing or has another number of axes.
    """
    if key not in state or state[key].ndim != n_axes:
        found = "is missing" if key not in state else f"is {tuple(state[key].shape)}"
        raise CheckpointError(
            origin.name, f"its weights make no {family}: {key} {found} but must have {n_axes} axes"
        )
    return tuple(state[key].shape)


def labels_for(n_classes: int, origin: Origin) -> LabelSet:
    """Names for a number of classes.

    527 classes get AudioSet's names, 50 those of ESC-50, 35 those of Speech Commands v2 (both exclude one
    another), 20 those of OpenMIC-2018; any other number is called `class 0`, `class 1`, ..., because the
    weights do not tell.
    """
    audioset = audioset_labels()
    if n_classes == len(audioset):
        return audioset
    if n_classes in OF_CORPORA:
        return OF_CORPORA[n_classes]
    if not 0 < n_classes <= MAX_CLASSES:
        raise CheckpointError(origin.name, f"has {n_classes} classes; 1 to {MAX_CLASSES} are allowed")
    return LabelSet(names=tuple(f"class {index}" for index in range(n_classes)))
