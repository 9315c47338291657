"""Points in time embedded by windows around them."""

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from earmark.config import ConfigError
from earmark.hear.embedder import Sounds, Timed, Vectors
from earmark.hear.rolling import Rolling, passing
from earmark.hear.windows import PER_SECOND, Centered, Grid, Stretch, center_times
from earmark.models import Tagger

MODES = ("all", "embedding", "logits")
MOST = 256
"""Windows that go through the network at once: more bring nothing."""


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
        self._grid, self._scene_grid = Grid(PER_SECOND, rate), Grid(1, self.scene_hop)
        self.longest = round(model.clip_seconds * rate)
        self.mel_window = mel_frames * round(model.config.frontend.frame_seconds * rate)
        sizes = {"all": len(model.labels) + model.embedding_dim, "embedding": model.embedding_dim}
        self.scene_size = sizes.get(mode, len(model.labels))
        self.timestamp_size = len(windows) * self.scene_size + mel_frames * model.config.frontend.n_bands

    def scenes(self, audio: Sounds, batch: int) -> Float[Tensor, "sound dim"]:
        """Of the whole sound; of a longer one than a clip the mean over windows."""
        n_samples = audio.shape[1]
        if n_samples <= self.longest:
            together = self._together(batch, n_samples, audio.device)
            return torch.cat([self._network(part) for part in audio.split(together)])
        centers = self._scene_grid.between(0, self._scene_grid.count(n_samples))
        return (self._sum(Stretch(audio, 0, n_samples), centers, batch) / len(centers)).float()

    def scene_of(self, sound: Rolling, batch: int) -> Float[Tensor, "dim"]:
        """The same of a sound that comes in blocks."""
        sound.read_to(self.longest + 1)
        if sound.end <= self.longest:
            return self.scenes(sound.stretch().audio, batch)[0]
        total = torch.zeros(self.scene_size, dtype=torch.float64, device=sound.device)
        windows = 0
        for stretch, centers in passing(sound, self._scene_grid, self.longest, batch):
            total += self._sum(stretch, centers, batch)[0]
            windows += len(centers)
        return (total / windows).float()

    def _sum(
        self, stretch: Stretch, centers: Int64[Tensor, "time"], batch: int
    ) -> Float[Tensor, "sound dim"]:
        """The sum over windows, in double precision."""
        audio = stretch.audio
        total = audio.new_zeros(len(audio), self.scene_size, dtype=torch.float64)
        first = 0
        together = self._together(batch, self.longest, audio.device)
        for part in Centered(stretch, self.longest, centers).parts(together):
            found = self._network(part).double()
            sound = torch.arange(first, first + len(part), device=audio.device) // len(centers)
            total.index_add_(0, sound, found)
            first += len(part)
        return total

    def times(self, n_samples: int) -> list[float]:
        """From 0 on, one each 50 ms."""
        return center_times(n_samples, self.model.sample_rate)

    def timestamps(self, audio: Sounds, batch: int) -> Float[Tensor, "sound time dim"]:
        """Around each point in time: all lengths of windows, then the front end's frames."""
        n_samples = audio.shape[1]
        points = self._grid.between(0, self._grid.count(n_samples))
        return self._around(Stretch(audio, 0, n_samples), points, batch)

    def timestamps_of(self, sound: Rolling, batch: int) -> Iterator[Timed]:
        """The same of a sound that comes in blocks."""
        place = 0
        step = self._together(batch, min(self.windows), sound.device)
        for stretch, points in passing(sound, self._grid, max(*self.windows, self.mel_window), step):
            times = torch.arange(place, place + len(points), dtype=torch.float64) / PER_SECOND
            yield times, self._around(stretch, points, batch)[0]
            place += len(points)

    def _around(
        self, stretch: Stretch, points: Int64[Tensor, "time"], batch: int
    ) -> Float[Tensor, "sound time dim"]:
        n_sounds, n = len(stretch.audio), len(points)
        found = stretch.audio.new_empty(n_sounds * n, self.timestamp_size)
        column = 0
        levels = [(window, self._network, self.scene_size) for window in self.windows]
        if self.mel_frames:
            levels.append((self.mel_window, self._mel, self.timestamp_size - len(levels) * self.scene_size))
        for window, compute, width in levels:
            first = 0
            together = self._together(batch, window, stretch.audio.device)
            for part in Centered(stretch, window, points).parts(together):
                found[first : first + len(part), column : column + width] = compute(part)
                first += len(part)
            column += width
        return found.reshape(n_sounds, n, -1)

    def _network(self, waveform: Sounds) -> Vectors:
        waveform = self.model.padded(waveform)
        if self.mode == "embedding":
            return self.model.summarize(waveform)
        logits, summary = self.model.logits_and_summary(waveform)
        return torch.cat([logits, summary], dim=1) if self.mode == "all" else logits

    def _mel(self, waveform: Sounds) -> Vectors:
        return self.model.frontend(waveform).flatten(start_dim=1)

    def _together(self, batch: int, window: int, device: torch.device) -> int:
        """How many windows go through the network at once: as much sound as a batch of clips.

        On a processor as much as one clip: more is not faster there, and takes memory.
        """
        clips = 1 if device.type == "cpu" else batch
        return max(clips, min(MOST, clips * self.longest // window))
