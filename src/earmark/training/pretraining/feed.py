"""Batches of crops, in an order that only the recipe decides."""

from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float32, Int64

from earmark.audio import AudioError
from earmark.data.feeding.sounds import Sounds, waveform
from earmark.training.learning import AnyRecipe
from earmark.training.pretraining.batch import Crops
from earmark.training.randomness import generator
from earmark.training.reading import Extent, Place, Reading, heard_or_replaced


@runtime_checkable
class CropTerms(AnyRecipe, Protocol):
    """What a recipe says of its crops; see `PretrainRecipe`."""

    @property
    def crop_seconds(self) -> float:
        """Of the longest crops."""
        ...

    @property
    def jitter(self) -> float:
        """Share by which those of a batch may be shorter."""
        ...

    @property
    def crops(self) -> Literal["clips", "seconds"]:
        """Whether each clip gives as many, or each as many as fit into it."""
        ...


class CropFeed(Reading):
    """The batches of a pretraining run; see `Reading`.

    Each clip gives a crop from anywhere in it before any gives a second, or all give as many as fit into them
    before any gives more; a clip that is shorter than the crop is followed by silence.

    Args:
        terms: decide order, lengths and places of the crops.
        sounds: the clips.
        place: of this process among those that share each batch.
    """

    def __init__(self, terms: CropTerms, sounds: Sounds, place: Place | None = None) -> None:
        self.terms, self.sounds = terms, sounds
        self.round = self._round()
        extent = Extent(terms.epochs, terms.epoch_clips or len(self.round), terms.batch_size)
        super().__init__(extent, place or Place())
        self._order: tuple[int, Int64[np.ndarray, "clip"]] | None = None

    def order(self, epoch: int) -> Int64[np.ndarray, "clip"]:
        """The clips of an epoch: all in random order, and again in another as long as there are too few."""
        if self._order is None or self._order[0] != epoch:
            rounds = -(-self.n_clips // len(self.round))
            orders = [
                self.round[generator(self.terms.seed, epoch, number, "order").permutation(len(self.round))]
                for number in range(rounds)
            ]
            self._order = epoch, np.concatenate(orders)[: self.n_clips].astype(np.int64)
        return self._order[1]

    def _round(self) -> Int64[np.ndarray, "crop"]:
        """The clips of which one crop each is taken, before any gives a further one."""
        clips = np.arange(len(self.sounds), dtype=np.int64)
        if self.terms.crops == "clips":
            return clips
        length = self.terms.crop_seconds * self.sounds.sample_rate
        return np.repeat(clips, [max(1, round(self._samples(int(clip)) / length)) for clip in clips])

    def _samples(self, clip: int) -> int:
        try:
            return self.sounds.n_samples(clip)
        except AudioError:
            return 0  # it is replaced when its turn comes

    def length(self, epoch: int, step: int) -> int:
        """Samples of the crops of a batch."""
        draw = generator(self.terms.seed, epoch, step, "jitter").uniform(0, self.terms.jitter)
        return round(self.terms.crop_seconds * (1 - draw) * self.sounds.sample_rate)

    def __getitem__(self, place: tuple[int, int]) -> Crops:
        """This process's share of a batch."""
        epoch, step = place
        order, length = self.order(epoch), self.length(epoch, step)
        places, total = self.places(step)
        failures: dict[int, str] = {}
        clips: list[int] = []
        crops, lengths = np.zeros((len(places), length), np.float32), np.zeros(len(places), np.int64)
        for row, at in enumerate(places):
            clip, crop = self._crop(epoch, at, int(order[at]), length, failures)
            crops[row, : len(crop)], lengths[row] = crop, len(crop)
            clips.append(clip)
        return Crops(torch.from_numpy(crops), torch.from_numpy(lengths), clips, places, total, failures)

    def _crop(
        self, epoch: int, place: int, index: int, length: int, failures: dict[int, str]
    ) -> tuple[int, Float32[np.ndarray, "sample"]]:
        """A crop of a clip, or of another in its place."""
        draws = generator(self.terms.seed, epoch, place, "crop")

        def hear(clip: int) -> Float32[np.ndarray, "sample"]:
            spare = max(0, self.sounds.n_samples(clip) - length)
            heard = waveform(self.sounds, clip, int(draws.integers(spare + 1)), length)
            return heard.astype(np.float32, copy=False)

        return heard_or_replaced(index, hear, len(self.sounds), draws, failures)
