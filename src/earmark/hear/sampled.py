"""Points in time embedded by the nearest of a model's frames."""

import math
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from earmark.hear.embedder import Sounds, Timed
from earmark.hear.rolling import Rolling
from earmark.hear.windows import PER_SECOND, Grid, center_times
from earmark.inference.cutting import Window
from earmark.inference.embedding import what_to_give
from earmark.inference.pipeline import Give, cutter_for
from earmark.inference.settings import Cut, EmbedSettings
from earmark.models import Tagger


class Sampled:
    """A model's frames, read off at regular points in time; for any encoder with frames.

    Args:
        model: any whose encoder gives frames.
        layer: of the encoder, counted from 0, or from -1 backwards; None for its end.
    """

    def __init__(self, model: Tagger, layer: int | None = None) -> None:
        self.model = model
        self.clips = what_to_give(model, EmbedSettings(layer=layer))
        self.frames = what_to_give(model, EmbedSettings(level="frame", layer=layer))
        self.scene_size, self.timestamp_size = self.clips.dim, self.frames.dim
        self.spacing, self.first = self.frames.spacing or 0.0, self.frames.first
        self.clip = round(model.clip_seconds * model.sample_rate)

    def scenes(self, audio: Sounds, batch: int) -> Float[Tensor, "sound dim"]:
        """The mean of the summaries of clips, each counted by how much of it is new."""
        total = audio.new_zeros(len(audio), self.scene_size, dtype=torch.float64)
        for start, fresh, part in self._clips(audio):
            found = self._given(self.clips, part, batch)
            total += (part.shape[1] - (fresh - start)) * found.double()
        return (total / audio.shape[1]).float()

    def scene_of(self, sound: Rolling, batch: int) -> Float[Tensor, "dim"]:
        """The same of a sound that comes in blocks."""
        total = torch.zeros(self.scene_size, dtype=torch.float64, device=sound.device)
        for group in self._windows(sound, batch):
            weights = torch.tensor([window.stop - window.fresh for window in group], device=sound.device)
            total += (weights[:, None] * self.clips.compute(_stacked(group, sound.device)).double()).sum(0)
        return (total / sound.end).float()

    def _given(self, what: Give, part: Sounds, batch: int) -> Float[Tensor, "sound *dim"]:
        return torch.cat([what.compute(self.model.padded(some)) for some in part.split(batch)])

    def times(self, n_samples: int) -> list[float]:
        """From 0 on, one each 50 ms."""
        return center_times(n_samples, self.model.sample_rate)

    def timestamps(self, audio: Sounds, batch: int) -> Float[Tensor, "sound time dim"]:
        """At each point in time the frame whose center is nearest; beyond the last center, the last."""
        found: list[Tensor] = []
        for start, fresh, part in self._clips(audio):
            stop = start + part.shape[1]
            _, nearest = self._nearest(start, fresh, stop, stop == audio.shape[1])
            if len(nearest):
                frames = self._given(self.frames, part, batch)
                found.append(frames[:, nearest.clamp(max=frames.shape[1] - 1).to(frames.device)])
        return torch.cat(found, dim=1)

    def timestamps_of(self, sound: Rolling, batch: int) -> Iterator[Timed]:
        """The same of a sound that comes in blocks."""
        for group in self._windows(sound, batch):
            frames = self.frames.compute(_stacked(group, sound.device))
            for window, some in zip(group, frames, strict=True):
                last = sound.ended and window.stop == sound.end
                times, nearest = self._nearest(window.start, window.fresh, window.stop, last)
                if len(nearest):
                    yield times, some[nearest.clamp(max=len(some) - 1).to(some.device)]

    def _nearest(
        self, start: int, fresh: int, stop: int, last: bool
    ) -> tuple[Float64[Tensor, "time"], Int64[Tensor, "time"]]:
        """The points in time in what is new of a clip, in seconds, and the frames of it that are nearest."""
        rate = self.model.sample_rate
        first = -(-fresh * PER_SECOND // rate)
        end = Grid(PER_SECOND, rate).count(stop) if last else -(-stop * PER_SECOND // rate)
        times = torch.arange(first, end, dtype=torch.float64) / PER_SECOND
        inside = max(1, math.ceil(((stop - start) / rate - self.first) / self.spacing))
        nearest = ((times - start / rate - self.first) / self.spacing).round().long()
        return times, nearest.clamp(0, inside - 1)

    def _windows(self, sound: Rolling, batch: int) -> Iterator[list[Window]]:
        """The clips of a sound that comes in blocks, cut as files are, some of one length at a time."""
        group: list[Window] = []
        for window in cutter_for(self.model, Cut()).cut(sound.blocks()):
            if group and (len(group) == batch or len(window.samples) != len(group[0].samples)):
                yield group
                group = []
            group.append(window)
        yield group

    def _clips(self, audio: Sounds) -> list[tuple[int, int, Float[Tensor, "sound _"]]]:
        """Start, where it begins to be new, and the sound; the last ends with the audio."""
        n_samples = audio.shape[1]
        if n_samples <= self.clip:
            return [(0, 0, audio)]
        starts = [min(at, n_samples - self.clip) for at in range(0, n_samples, self.clip)]
        return [
            (start, at, audio[:, start : start + self.clip])
            for start, at in zip(starts, range(0, n_samples, self.clip), strict=True)
        ]


def _stacked(group: list[Window], device: torch.device) -> Sounds:
    return torch.from_numpy(np.stack([window.samples for window in group])).to(device)
