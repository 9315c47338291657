"""Models of torch, put where they compute, and heard through arrays."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from itertools import chain
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from earmark.config import ConfigError
from earmark.inference.hearing import ArrayGive, Ear, Give
from earmark.models.ensemble import Ensemble
from earmark.models.tagger import Tagger

Hearer = Tagger | Ensemble
TensorGive = Give[Tensor]
Placed = TypeVar("Placed", bound=Tagger | Ensemble)


def ear_of(model: Hearer) -> Ear:
    """A model with a head, as inference wants it."""
    clips = TensorGive(lambda waveform: model.probabilities(model(waveform)), len(model.labels))
    frames = None
    if isinstance(model, Tagger) and model.has_frame_scores:
        grid = (model.frame_seconds, model.first_frame_seconds)
        frames = on_arrays(model, TensorGive(model.frame_probabilities, len(model.labels), *grid))
    return Ear(
        model.sample_rate,
        model.clip_seconds,
        model.padding,
        model.min_samples,
        model.labels,
        on_arrays(model, clips),
        frames,
    )


def on_arrays(model: Hearer, give: TensorGive) -> ArrayGive:
    """The same from arrays to arrays: computed where the model is, in eval mode, without gradients."""
    return Give(_on_arrays(model, give.compute), give.dim, give.spacing, give.first)


def _on_arrays(
    model: Hearer, compute: Callable[[Tensor], Tensor]
) -> Callable[[Float[np.ndarray, "batch sample"]], Float[np.ndarray, "batch ..."]]:
    @torch.inference_mode()
    def computed(waveforms: np.ndarray) -> np.ndarray:
        device = next(chain(model.parameters(), model.buffers())).device
        was_training = model.training
        if was_training:
            model.eval()
        try:
            return compute(torch.from_numpy(waveforms).to(device)).float().cpu().numpy()
        finally:
            if was_training:
                model.train()

    return computed


def place(model: Placed, device: str | None) -> Placed:
    """Move a model to a device.

    Raises:
        ConfigError: there is no such device here, or it cannot compute this model.
    """
    if device is None:
        return model
    with usable(device):
        model = model.to(device)
        if torch.device(device).type != "cpu":
            _try_out(model, device)
        return model


@contextmanager
def usable(device: str) -> Generator[None, None, None]:
    """Around what moves to a device: whatever it raises becomes a sentence.

    Raises:
        ConfigError: there is no such device here, or it cannot do what was tried.
    """
    if device.startswith("meta"):  # it would take the weights and never give them back
        raise ConfigError("device 'meta' cannot be used here (it computes nothing); try device 'cpu'")
    try:
        yield
    except (RuntimeError, AssertionError, NotImplementedError, ImportError, AttributeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise ConfigError(f"device {device!r} cannot be used here ({reason}); try device 'cpu'") from None


@torch.inference_mode()
def _try_out(model: Hearer, device: str) -> None:
    """Compute a moment of silence: some devices take a model and cannot give anything back."""
    silence = torch.zeros(1, model.min_samples, device=device)
    (model.encode(silence) if isinstance(model, Tagger) else model.both(silence)[1]).summary.cpu()
