"""A model's front end alone as an embedding."""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earmark.hear.embedder import Sounds
from earmark.hear.windows import center_times
from earmark.models import Tagger


class Spectral:
    """What a network is given, before it does anything: the floor that its embeddings must be above.

    Scenes are the mean and the standard deviation of each band over time; points in time are the frames
    nearest to them.

    Args:
        model: whose front end it is; its weights are not used.

    Example:
        >>> from earmark.models import load
        >>> embedder = Spectral(load())
        >>> embedder.scenes(torch.zeros(1, 16000), 8).shape
        torch.Size([1, 128])
    """

    def __init__(self, model: Tagger) -> None:
        self.model = model
        bands = model.config.frontend.n_bands
        self.scene_size, self.timestamp_size = 2 * bands, bands

    def scenes(self, audio: Sounds, batch: int) -> Float[Tensor, "sound dim"]:
        """Means of all bands, then their deviations."""
        found = [self._features(part) for part in audio.split(batch)]
        return torch.cat([torch.cat([one.mean(2), one.std(2, correction=0)], dim=1) for one in found])

    def times(self, n_samples: int) -> list[float]:
        """From 0 on, one each 50 ms."""
        return center_times(n_samples, self.model.sample_rate)

    def timestamps(self, audio: Sounds, batch: int) -> Float[Tensor, "sound time dim"]:
        """At each point in time the frame whose center is nearest."""
        frontend = self.model.config.frontend
        times = torch.tensor(self.times(audio.shape[1]), dtype=torch.float64)
        places = ((times - frontend.first_frame_seconds) / frontend.frame_seconds).round().long()
        found = [self._features(part) for part in audio.split(batch)]
        return torch.cat([one[:, :, places.clamp(0, one.shape[2] - 1)].transpose(1, 2) for one in found])

    def _features(self, audio: Sounds) -> Float[Tensor, "sound band frame"]:
        missing = self.model.config.frontend.samples_for(1) - audio.shape[1]
        return self.model.frontend(nn.functional.pad(audio, (0, missing)) if missing > 0 else audio)
