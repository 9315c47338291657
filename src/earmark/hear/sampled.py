"""Points in time embedded by the nearest of a model's frames."""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from earmark.hear.embedder import Sounds
from earmark.hear.windows import center_times
from earmark.inference.embedding import what_to_give
from earmark.inference.pipeline import Give
from earmark.inference.settings import EmbedSettings
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

    def _given(self, what: Give, part: Sounds, batch: int) -> Float[Tensor, "sound *dim"]:
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
            frames = self._given(self.frames, part, batch)
            stop = start + part.shape[1]
            here = (times >= fresh / rate) & ((times < stop / rate) | (stop == audio.shape[1]))
            if not bool(here.any()):
                continue
            inside = max(1, math.ceil((part.shape[1] / rate - self.first) / self.spacing))
            nearest = ((times[here] - start / rate - self.first) / self.spacing).round().long()
            found[:, here] = frames[:, nearest.clamp(0, min(inside, frames.shape[1]) - 1)]
        return found

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
