"""dBERT's own frames as points in time."""

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earmark.config import ConfigError
from earmark.encoders.dbert import DBERT, joined
from earmark.hear.embedder import Sounds
from earmark.models import Tagger


class Framed:
    """dBERT's own frames, each with the summary of its stretch before it, exactly timed.

    Args:
        model: a dBERT.
        layer: how many layers run, counted from 1, without the projections; None for all and the projections.
        chunk_minutes: longer sounds are encoded in chunks of equal length, none longer than this.

    Raises:
        ConfigError: the model is no dBERT.

    Source:
        audio_dbert (github.com/RF5/audio_dbert).  Deviations: chunks overlap by what a frame needs, so that
        no frame is lost between them and times are exact; the published ones drift, and fail at some lengths.
    """

    def __init__(self, model: Tagger, layer: int | None = None, chunk_minutes: float = 3.0) -> None:
        config = model.config.encoder
        if not isinstance(config, DBERT):
            raise ConfigError(f"the encoder is a {config.kind}; this module is dBERT's")
        self.model, self.config = model, config
        self.index = None if layer is None else layer - 1
        if layer is not None and not 1 <= layer <= self.config.depth:
            raise ConfigError(f"layer is {layer} but this dBERT has {self.config.depth}; give 1 to that")
        wide = 2 * self.config.width
        whole = self.config.dim + self.config.frame_dim
        self.scene_size = self.timestamp_size = whole if layer is None else wide
        self.most = max(1, int(chunk_minutes * 60 * model.sample_rate) // self.config.frame_stride)

    def scenes(self, audio: Sounds, batch: int) -> Float[Tensor, "sound dim"]:
        """The mean over frames."""
        return torch.cat([self._mean(part) for part in audio.split(batch)])

    def _mean(self, audio: Sounds) -> Float[Tensor, "sound dim"]:
        total = audio.new_zeros(len(audio), self.scene_size, dtype=torch.float64)
        count = 0
        for frames in self._chunks(audio):
            total += frames.double().sum(dim=1)
            count += frames.shape[1]
        return (total / count).float()

    def times(self, n_samples: int) -> list[float]:
        """The centers of the frames' receptive fields."""
        stride, field, rate = self.config.frame_stride, self.config.min_frames, self.model.sample_rate
        return [(field / 2 + place * stride) / rate for place in range(self._n_frames(n_samples))]

    def _n_frames(self, n_samples: int) -> int:
        return self.config.n_frames(max(n_samples, self.model.min_samples))

    def timestamps(self, audio: Sounds, batch: int) -> Float[Tensor, "sound time dim"]:
        """Each frame, at the center of its receptive field."""
        return torch.cat([torch.cat(list(self._chunks(part)), dim=1) for part in audio.split(batch)])

    def _chunks(self, audio: Sounds) -> Iterator[Float[Tensor, "sound _ dim"]]:
        missing = self.model.min_samples - audio.shape[1]
        if missing > 0:
            audio = nn.functional.pad(audio, (0, missing))
        stride, field = self.config.frame_stride, self.config.min_frames
        frames = self._n_frames(audio.shape[1])
        size = math.ceil(frames / math.ceil(frames / self.most))
        for first in range(0, frames, size):
            last = min(first + size, frames) - 1
            part = audio[:, first * stride : last * stride + field]
            yield joined(self.model.encode(part, self.index))
