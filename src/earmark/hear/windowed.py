"""Points in time embedded by windows around them."""

import torch
from jaxtyping import Float
from torch import Tensor

from earmark.config import ConfigError
from earmark.hear.embedder import Sounds, Vectors
from earmark.hear.windows import Centered, center_times, centers
from earmark.models import Tagger

MODES = ("all", "embedding", "logits")


class Windowed:
    """Windows of several lengths around each point in time, each through the network as a clip of its own.

    Args:
        model: any with a summary.
        windows: their lengths, in seconds; embeddings stand behind one another in this order.
        mel_frames: so many frames of the front end around the point in time stand behind them; 0 for none.
        mode: "all" for logits and summary, "embedding" for the summary, "logits".
        scene_hop: longer sounds than the model's clips are averaged over windows that begin so many seconds
            after one another.

    Source:
        hear21passt (github.com/kkoutini/passt_hear21), whose numbers it gives.  Deviations: all windows go
        through the network in full batches; a clip that is shorter than half a window is reflected again and
        again in place of an error; sizes are those of the mode.
    """

    def __init__(
        self,
        model: Tagger,
        windows: tuple[float, ...] = (0.16,),
        mel_frames: int = 0,
        mode: str = "all",
        scene_hop: float = 2.5,
    ) -> None:
        if mode not in MODES:
            raise ConfigError(f"mode is {mode!r}; give one of {', '.join(MODES)}")
        if not windows or min(windows) * model.sample_rate < 1 or max(windows) > model.clip_seconds:
            raise ConfigError(
                f"windows are {windows}; give one or more lengths in seconds, up to the model's "
                f"{model.clip_seconds:g}"
            )
        if scene_hop * model.sample_rate < 1 or mel_frames < 0:
            raise ConfigError(f"scene_hop is {scene_hop} and mel_frames {mel_frames}; give more than that")
        if mode != "embedding" and not model.has_head:
            raise ConfigError(f"mode is {mode!r}, but this model has no head; take 'embedding'")
        self.model, self.mel_frames, self.mode = model, mel_frames, mode
        rate = model.sample_rate
        self.windows = tuple(round(seconds * rate) for seconds in windows)
        self.scene_hop = round(scene_hop * rate)
        self.longest = round(model.clip_seconds * rate)
        self.mel_window = mel_frames * round(model.config.frontend.frame_seconds * rate)
        sizes = {"all": len(model.labels) + model.embedding_dim, "embedding": model.embedding_dim}
        self.scene_size = sizes.get(mode, len(model.labels))
        self.timestamp_size = len(windows) * self.scene_size + mel_frames * model.config.frontend.n_bands

    def scenes(self, audio: Sounds, batch: int) -> Float[Tensor, "sound dim"]:
        """Of the whole sound; of a longer one than a clip the mean over windows."""
        n_sounds, n_samples = audio.shape
        if n_samples <= self.longest:
            return torch.cat([self._network(part) for part in audio.split(batch)])
        windows = Centered(audio, self.longest, torch.arange(0, n_samples + 1, self.scene_hop))
        total = audio.new_zeros(n_sounds, self.scene_size, dtype=torch.float64)
        first = 0
        for part in windows.parts(batch):
            found = self._network(part).double()
            sound = torch.arange(first, first + len(part), device=audio.device) // windows.n_centers
            total.index_add_(0, sound, found)
            first += len(part)
        return (total / windows.n_centers).float()

    def times(self, n_samples: int) -> list[float]:
        """From 0 on, one each 50 ms."""
        return center_times(n_samples, self.model.sample_rate)

    def timestamps(self, audio: Sounds, batch: int) -> Float[Tensor, "sound time dim"]:
        """Around each point in time: all lengths of windows, then the front end's frames."""
        points = centers(audio.shape[1], self.model.sample_rate)
        n_sounds, n = len(audio), len(points)
        found = audio.new_empty(n_sounds * n, self.timestamp_size)
        column = 0
        levels = [(window, self._network, self.scene_size) for window in self.windows]
        if self.mel_frames:
            levels.append((self.mel_window, self._mel, self.timestamp_size - len(levels) * self.scene_size))
        for window, compute, width in levels:
            first = 0
            for part in Centered(audio, window, points).parts(_fit(batch, window, self.longest)):
                found[first : first + len(part), column : column + width] = compute(part)
                first += len(part)
            column += width
        return found.reshape(n_sounds, n, -1)

    def _network(self, waveform: Sounds) -> Vectors:
        waveform = self.model.padded(waveform)
        if self.mode == "embedding":
            return self.model.summarize(waveform)
        logits, encoding = self.model.both(waveform)
        return torch.cat([logits, encoding.summary], dim=1) if self.mode == "all" else logits

    def _mel(self, waveform: Sounds) -> Vectors:
        return self.model.frontend(waveform).flatten(start_dim=1)


def _fit(batch: int, window: int, clip: int) -> int:
    """So many short windows as are as much sound as a batch of clips, 256 at most: more bring nothing."""
    return max(batch, min(256, batch * clip // window))
