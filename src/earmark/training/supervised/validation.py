"""Metrics on clips to choose by, in the course of a run."""

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earmark.audio import AudioError
from earmark.data import Split
from earmark.data.feeding.sounds import Sounds, waveform
from earmark.evaluation.metrics import evaluate_arrays
from earmark.models import Tagger
from earmark.training.distributing.world import World
from earmark.training.settings import TrainingError
from earmark.training.supervised.feed import Targets


class Validation:
    """The validation part of a corpus, as waveforms and labels.

    Args:
        split: the corpus; its validation part has clips.
        sounds: those clips as waveforms.
    """

    def __init__(self, split: Split, sounds: Sounds) -> None:
        self.sounds = sounds
        self.targets = Targets(split.validation, split.labels)
        self.exclusive = split.labels.exclusive

    def measure(self, model: Tagger, world: World) -> dict[str, float]:
        """Metrics of a model in evaluation mode; each clip counts once, whatever the number of processes.

        Returns:
            Metrics by name with `val_` before it, the same in all processes, and how many clips could not be
            decoded and count in none of them.

        Raises:
            TrainingError: the model has diverged.
        """
        mine = range(world.rank, len(self.sounds), world.size)
        shares = world.gather(self._logits(model, mine, world.device))
        found = {index: row for share in shares for index, row in share.items()}
        left_out = {"failed_validation_clips": float(len(self.sounds) - len(found))}
        if not found:
            return left_out
        bad = sum(not np.isfinite(row).all() for row in found.values())
        if bad:
            raise TrainingError(
                f"the model's output is not finite for {bad} of {len(found)} validation clips, so it has "
                "diverged; what was saved before stays; begin anew with a lower optimizer.lr"
            )
        rows = [self.targets.row(index) for index in found]
        metrics = evaluate_arrays(
            np.stack(list(found.values())),
            np.stack([target for target, _ in rows]) > 0.5,
            np.stack([known for _, known in rows]),
            self.exclusive,
        )
        return {f"val_{name}": value for name, value in metrics.items()} | left_out

    def _logits(
        self, model: Tagger, indices: Iterable[int], device: torch.device
    ) -> dict[int, Float[np.ndarray, "class"]]:
        """Logits by clip; a clip that cannot be decoded is left out, and was logged."""
        found: dict[int, np.ndarray] = {}
        for index in indices:
            try:
                samples = torch.from_numpy(waveform(self.sounds, index))
            except AudioError:
                continue
            found[index] = clip_logits(model, samples[None].to(device)).cpu().numpy()
        return found


@torch.no_grad()
def clip_logits(model: Tagger, samples: Float[Tensor, "1 sample"]) -> Float[Tensor, "class"]:
    """Logits of one clip of any length: those of its windows of the model's length, averaged.

    Args:
        model: in evaluation mode.
        samples: the clip; a rest shorter than a quarter of a window is left to the window before it.
    """
    length = round(model.clip_seconds * model.sample_rate)
    starts = range(0, max(1, samples.shape[1] - length // 4), length)
    windows = [model.padded(samples[:, start : start + length]) for start in starts]
    return torch.cat([model(window) for window in windows]).mean(dim=0)
