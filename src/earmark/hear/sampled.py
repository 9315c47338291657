"""Points in time embedded by the nearest of a model's frames."""

import math
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from earmark.hear.embedder import Sounds, Timed
from earmark.hear.rolling import Rolling
from earmark.hear.windows import PER_SECOND, Grid, center_times
from earmark.inference.cutting import Window
from earmark.inference.giving import what_to_give
from earmark.inference.pipeline import cutter_for
from earmark.inference.placing import TensorGive
from earmark.inference.settings import Cut, EmbedSettings, Place, Pooling, as_layer
from earmark.models import Tagger


class Sampled:
    """A model's frames, read off at regular points in time; for any encoder with frames.

    Args:
        model: any whose encoder gives frames.
        layer: of the encoder, counted from 0, or from -1 backwards; None for its end.  Several, "bands" (of
            the front end) and "end" among them, stand behind one another.
        pool: how a scene's frames become one vector: as the model sums them up, "mean" or "mean+deviation".
    """

    def __init__(
        self, model: Tagger, layer: int | str | Sequence[Place] | None = None, pool: Pooling = "summary"
    ) -> None:
        self.model = model
        scenes = EmbedSettings(layer=as_layer(layer), pool=pool)
        self.clips = what_to_give(model, scenes)
        self.frames = [
            what_to_give(model, EmbedSettings(level="frame", layer=(place,))) for place in scenes.places
        ]
        self.scene_size, self.timestamp_size = self.clips.dim, sum(one.dim for one in self.frames)
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
            fresh = torch.tensor([window.stop - window.fresh for window in group], device=sound.device)
            total += fresh.double() @ self.clips.compute(_stacked(group, sound.device)).double()
        return (total / sound.end).float()

    def _given(self, what: TensorGive, part: Sounds, batch: int) -> Float[Tensor, "sound *dim"]:
        return torch.cat([what.compute(self.model.padded(some)) for some in part.split(batch)])

    def times(self, n_samples: int) -> list[float]:
        """From 0 on, one each 50 ms."""
        return center_times(n_samples, self.model.sample_rate)

    def timestamps(self, audio: Sounds, batch: int) -> Float[Tensor, "sound time dim"]:
        """At each point in time the frame whose center is nearest; beyond the last center, the last."""
        found: list[Tensor] = []
        for start, fresh, part in self._clips(audio):
            stop = start + part.shape[1]
            times = self._points(fresh, stop, stop == audio.shape[1])
            if len(times):
                frames = [self._given(what, part, batch) for what in self.frames]
                found.append(self._nearest(frames, times - start / self.model.sample_rate, part.shape[1]))
        return torch.cat(found, dim=1)

    def timestamps_of(self, sound: Rolling, batch: int) -> Iterator[Timed]:
        """The same of a sound that comes in blocks."""
        for group in self._windows(sound, batch):
            waveform = _stacked(group, sound.device)
            frames = [what.compute(waveform) for what in self.frames]
            for place, (_, _, start, fresh, stop, _) in enumerate(group):
                times = self._points(fresh, stop, sound.ended and stop == sound.end)
                if len(times):
                    own = [some[place : place + 1] for some in frames]
                    yield times, self._nearest(own, times - start / self.model.sample_rate, stop - start)[0]

    def _points(self, fresh: int, stop: int, last: bool) -> Float64[Tensor, "time"]:
        """The points in time in what is new of a clip, in seconds; those of the last one include its end."""
        rate = self.model.sample_rate
        end = Grid(PER_SECOND, rate).count(stop) if last else -(-stop * PER_SECOND // rate)
        return torch.arange(-(-fresh * PER_SECOND // rate), end, dtype=torch.float64) / PER_SECOND

    def _nearest(
        self, frames: list[Tensor], times: Float64[Tensor, "time"], n_samples: int
    ) -> Float[Tensor, "sound time dim"]:
        """All kinds of a clip's frames at times in it, behind one another."""
        found: list[Tensor] = []
        for what, some in zip(self.frames, frames, strict=True):
            spacing = what.spacing or 0.0
            inside = max(1, math.ceil((n_samples / self.model.sample_rate - what.first) / spacing))
            nearest = ((times - what.first) / spacing).round().long()
            found.append(some[:, nearest.clamp(0, min(inside, some.shape[1]) - 1).to(some.device)])
        return torch.cat(found, dim=2)

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
