"""Batches of waveforms, in an order that only the recipe decides."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from earmark.data import Clip, Split
from earmark.data.feeding.sounds import Sounds
from earmark.labels import LabelSet
from earmark.training.augmentation.waveform import draw_waveform, mix_waveforms, mixing_partner, reverberate
from earmark.training.randomness import generator
from earmark.training.reading import Extent, Place, Reading, heard_or_replaced
from earmark.training.supervised.distillation import StoredTeacher, blend
from earmark.training.supervised.recipe import Recipe
from earmark.training.supervised.sampling import Drawn, epoch_order
from earmark.training.supervised.shuffle_buffer import Buffered


class Batch(NamedTuple):
    """What one process trains on in one step.

    Attributes:
        waveform: clips of one length, full scale +-1.
        targets: a probability for each label.
        known: where it is known whether a label holds; None if everywhere.
        clips: which training clips they are.
        places: where in the epoch they stand; what is drawn for a clip depends on this.
        total: how many clips the whole batch has, over all processes.
        failures: clips that could not be decoded and were replaced, with the reason.
    """

    waveform: Float[Tensor, "batch sample"]
    targets: Float[Tensor, "batch class"]
    known: Bool[Tensor, "batch class"] | None
    clips: list[int]
    places: list[int]
    total: int
    failures: dict[int, str]


class Extras(NamedTuple):
    """What a recipe may ask for and a run brings along.

    Attributes:
        responses: impulse responses of rooms and microphones.
        teacher: stored logits of each training clip.
    """

    responses: Sequence[Float[np.ndarray, "_"]] = ()
    teacher: StoredTeacher | None = None


class Targets:
    """The targets of clips, made row by row: two million rows of 527 labels would not fit into memory."""

    def __init__(self, clips: Sequence[Clip], labels: LabelSet) -> None:
        position = {name: index for index, name in enumerate(labels.names)}
        self.n_classes = len(position)
        self.true = [[position[name] for name in clip.labels] for clip in clips]
        self.unknown = [[position[name] for name in clip.unknown] for clip in clips]
        self.masked = any(self.unknown)

    def row(self, index: int) -> tuple[Float[np.ndarray, "class"], Bool[np.ndarray, "class"]]:
        """Where labels hold, and where that is known."""
        target = np.zeros(self.n_classes, dtype=np.float32)
        target[self.true[index]] = 1.0
        known = np.ones(self.n_classes, dtype=bool)
        known[self.unknown[index]] = False
        return target, known


class Feed(Reading):
    """The batches of a supervised run; see `Reading`.

    Args:
        recipe: decides the order, the cut and the random changes of the clips.
        split: the training clips and their labels.
        sounds: the same clips as waveforms.
        place: of this process among those that share each batch.
        extras: what the recipe asks for and the run brings along.
    """

    def __init__(
        self,
        recipe: Recipe,
        split: Split,
        sounds: Sounds,
        place: Place | None = None,
        extras: Extras | None = None,
    ) -> None:
        clips = recipe.epoch_clips or len(sounds)
        super().__init__(Extent(recipe.epochs, clips, recipe.batch_size), place or Place())
        self.recipe, self.sounds, self.extras = recipe, sounds, extras or Extras()
        self.targets = Targets(split.train, split.labels)
        self.n_classes = self.targets.n_classes
        numbers: dict[Path, int] = {}
        files = [numbers.setdefault(clip.path, len(numbers)) for clip in split.train]
        self.drawn = Drawn(self.targets.true, self.n_classes, np.array(files, dtype=np.int64))
        self.length = round(recipe.heard_seconds * sounds.sample_rate)
        self._order: tuple[int, Int64[np.ndarray, "clip"]] | None = None

    def order(self, epoch: int) -> Int64[np.ndarray, "clip"]:
        """The clips of an epoch."""
        if self._order is None or self._order[0] != epoch:
            order = epoch_order(self.recipe.sampling, self.drawn, self.n_clips, self.recipe.seed, epoch)
            self._order = (epoch, order)
        return self._order[1]

    def __getitem__(self, place: tuple[int, int]) -> Batch:
        """This process's share of a batch."""
        epoch, step = place
        order = self.order(epoch)
        places, total = self.places(step)
        failures: dict[int, str] = {}
        examples = [self._example(epoch, place, int(order[place]), failures) for place in places]
        clips = [clip for clip, *_ in examples]
        waveform = np.empty((len(examples), self.length), dtype=np.float32)
        targets = np.empty((len(examples), self.n_classes), dtype=np.float32)
        known = np.empty((len(examples), self.n_classes), dtype=bool)
        for row, (_, sound, target, is_known) in enumerate(examples):
            waveform[row], targets[row], known[row] = sound, target, is_known
        mask = torch.from_numpy(known) if self.targets.masked else None
        tensors = torch.from_numpy(waveform), torch.from_numpy(targets)
        return Batch(*tensors, mask, clips, places, total, failures)

    def _example(
        self, epoch: int, place: int, index: int, failures: dict[int, str]
    ) -> tuple[int, np.ndarray, np.ndarray, np.ndarray]:
        """A clip, changed at random, or another in its place."""
        draws = generator(self.recipe.seed, epoch, place, "waveform")
        clip, example = heard_or_replaced(
            index, lambda clip: self._changed(clip, epoch, place, draws), len(self.sounds), draws, failures
        )
        return clip, *example

    def _changed(
        self, index: int, epoch: int, place: int, draws: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        sound = self._sound(index, draws)
        target, known = self._target(index)
        sampling = self.recipe.sampling
        near = min(self.n_clips, sampling.buffer) if isinstance(sampling, Buffered) else None
        partner = mixing_partner(self.recipe.augment.wave_mixup, near or len(self.sounds), draws)
        if partner is not None:
            other, share = partner
            if near is not None:  # one that was heard shortly before, which is still at hand
                other = int(self.order(epoch)[place - 1 - other])
            second = torch.from_numpy(self._sound(other, draws))
            more, also_known = self._target(other)
            sound = mix_waveforms(torch.from_numpy(sound), second, share).numpy()
            target = (share * target * known + (1 - share) * more * also_known).astype(np.float32)
            known = known | also_known
        return sound, target, known

    def _sound(self, index: int, draws: np.random.Generator) -> Float[np.ndarray, "sample"]:
        """A clip with everything that is drawn for its waveform alone."""
        augment = self.recipe.augment
        sound = draw_waveform(self.sounds, index, self.length, augment, self.recipe.model.padding, draws)
        if augment.reverb:
            sound = reverberate(sound, augment.reverb, self.extras.responses, draws)
        return sound

    def _target(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """A clip's labels, blended with what a stored teacher says of it."""
        target, known = self.targets.row(index)
        if self.recipe.distillation is not None and self.extras.teacher is not None:
            logits = torch.from_numpy(self.extras.teacher.row(index))
            exclusive = self.recipe.model.labels.exclusive
            target = blend(torch.from_numpy(target), logits, self.recipe.distillation, exclusive).numpy()
        return target, known
