"""Points in time embedded by the nearest of a model's frames."""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from earmark.hear.embedder import Sounds
from earmark.hear.windows import center_times
from earmark.inference.giving import what_to_give
from earmark.inference.placing import TensorGive
from earmark.inference.settings import EmbedSettings, Place, Pooling
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
        self, model: Tagger, layer: int | Sequence[Place] | None = None, pool: Pooling = "summary"
    ) -> None:
        self.model = model
        chosen = layer if layer is None or isinstance(layer, int) else tuple(layer)
        scenes = EmbedSettings(layer=chosen, pool=pool)
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

    def _given(self, what: TensorGive, part: Sounds, batch: int) -> Float[Tensor, "sound *dim"]:
        return torch.cat([what.compute(self.model.padded(some)) for some in part.split(batch)])

    def times(self, n_samples: int) -> list[float]:
        """From 0 on, one each 50 ms."""
        return center_times(n_samples, self.model.sample_rate)

    def timestamps(self, audio: Sounds, batch: int) -> Float[Tensor, "sound time dim"]:
        """At each point in time the frame whose center is nearest; beyond the last center, the last."""
        rate = self.model.sample_rate
        times = torch.tensor(self.times(audio.shape[1]), dtype=torch.float64, device=audio.device)
        found = audio.new_empty(len(audio), len(times), self.timestamp_size)
        for start, fresh, part in self._clips(audio):
            stop = start + part.shape[1]
            here = (times >= fresh / rate) & ((times < stop / rate) | (stop == audio.shape[1]))
            if bool(here.any()):
                parts = [self._nearest(what, part, times[here] - start / rate, batch) for what in self.frames]
                found[:, here] = torch.cat(parts, dim=2)
        return found

    def _nearest(
        self, what: TensorGive, part: Sounds, times: Float[Tensor, "time"], batch: int
    ) -> Float[Tensor, "sound time dim"]:
        """A clip's frames at times in it."""
        frames, spacing = self._given(what, part, batch), what.spacing or 0.0
        inside = max(1, math.ceil((part.shape[1] / self.model.sample_rate - what.first) / spacing))
        nearest = ((times - what.first) / spacing).round().long()
        return frames[:, nearest.clamp(0, min(inside, frames.shape[1]) - 1)]

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
