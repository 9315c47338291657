"""dBERT's own frames as points in time."""

import math
from collections.abc import Iterable, Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earmark.config import ConfigError
from earmark.encoders.dbert import DBERT, joined
from earmark.hear.embedder import Sounds, Timed
from earmark.hear.rolling import Rolling
from earmark.models import Tagger


class Framed:
    """dBERT's own frames, each with the summary of its stretch before it, exactly timed.

    Args:
        model: a dBERT.
        layer: how many layers run, counted from 1, without the projections; None for all and the projections.
        chunk_minutes: longer sounds are encoded in chunks of this length; the last two have equal lengths.

    Raises:
        ConfigError: the model is no dBERT.

    Source:
        audio_dbert (github.com/RF5/audio_dbert).  Deviations: chunks overlap by what a frame needs, so that
        no frame is lost between them and times are exact; the published ones drift, and fail at some lengths.
        Of more than two chunks the first are as long as allowed, where the published ones are all equal.
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
        return torch.cat([self._mean(self._chunks(part)) for part in audio.split(batch)])

    def scene_of(self, sound: Rolling, batch: int) -> Float[Tensor, "dim"]:
        """The same of a sound that comes in blocks."""
        return self._mean(self._chunks_of(sound))[0]

    def _mean(self, chunks: Iterable[Float[Tensor, "sound _ dim"]]) -> Float[Tensor, "sound dim"]:
        total, count = torch.zeros(1, self.scene_size, dtype=torch.float64), 0
        for frames in chunks:
            total = total.to(frames.device) + frames.double().sum(dim=1)
            count += frames.shape[1]
        return (total / count).float()

    def times(self, n_samples: int) -> list[float]:
        """The centers of the frames' receptive fields."""
        return [self._time(place) for place in range(self._n_frames(n_samples))]

    def _time(self, place: int) -> float:
        config = self.config
        return (config.min_frames / 2 + place * config.frame_stride) / self.model.sample_rate

    def _n_frames(self, n_samples: int) -> int:
        return self.config.n_frames(max(n_samples, self.model.min_samples))

    def timestamps(self, audio: Sounds, batch: int) -> Float[Tensor, "sound time dim"]:
        """Each frame, at the center of its receptive field."""
        return torch.cat([torch.cat(list(self._chunks(part)), dim=1) for part in audio.split(batch)])

    def timestamps_of(self, sound: Rolling, batch: int) -> Iterator[Timed]:
        """The same of a sound that comes in blocks."""
        place = 0
        for frames in self._chunks_of(sound):
            stop = place + frames.shape[1]
            yield torch.tensor([self._time(at) for at in range(place, stop)], dtype=torch.float64), frames[0]
            place = stop

    def _chunks(self, audio: Sounds) -> Iterator[Float[Tensor, "sound _ dim"]]:
        frames, first = self._n_frames(audio.shape[1]), 0
        while first < frames:
            size = self._next(frames - first)
            last = first + size == frames
            yield self._encoded(audio[:, first * self.config.frame_stride :], None if last else size)
            first += size

    def _chunks_of(self, sound: Rolling) -> Iterator[Float[Tensor, "1 _ dim"]]:
        first, stride = 0, self.config.frame_stride
        while True:
            sound.read_to((first + 2 * self.most) * stride + self.config.min_frames)
            left = self._n_frames(sound.end) - first
            if left < 1:
                return
            size = self._next(left)
            yield self._encoded(sound.stretch().audio, None if size == left else size)
            first += size
            sound.forget(first * stride)

    def _next(self, frames: int) -> int:
        """How many frames the next chunk has, of all that are left; of the last two each has a half.

        So it does not matter how many come after the next two: whoever reads a file need not know its length.
        """
        if frames > 2 * self.most:
            return self.most
        return frames if frames <= self.most else math.ceil(frames / 2)

    def _encoded(self, part: Sounds, frames: int | None) -> Float[Tensor, "sound _ dim"]:
        """The first frames of a stretch; None for all, and for what is left behind the last one.

        That has a share in the norm of the first layer, which is over time.
        """
        if frames is not None:
            part = part[:, : (frames - 1) * self.config.frame_stride + self.config.min_frames]
        missing = self.model.min_samples - part.shape[1]
        if missing > 0:
            part = nn.functional.pad(part, (0, missing))
        return joined(self.model.encode(part, self.index))
