"""How the modules differ: in the weights, the lengths of the windows and the mode."""

from functools import partial
from typing import Any

from earmark.config import ConfigError
from earmark.encoders import DBERT, PaSST
from earmark.hear.embedder import Embedder
from earmark.hear.framed import Framed
from earmark.hear.sampled import Sampled
from earmark.hear.windowed import Windowed
from earmark.models import Tagger

one_level = Windowed
"""160 ms around each point in time."""
two_levels = partial(Windowed, windows=(0.16, 0.8))
"""160 and 800 ms."""
two_levels_f = partial(two_levels, mode="embedding")
"""The same without logits."""
two_levels_mel = partial(Windowed, windows=(0.16, 0.64), mel_frames=6)
"""160 and 640 ms, and six frames of the spectrogram."""
finer_mel = partial(Windowed, windows=(0.16, 0.8), mel_frames=6)
"""160 and 800 ms, and six frames of the finer spectrogram of a smaller hop."""
twenty_seconds = partial(Windowed, scene_hop=5.0)
thirty_seconds = partial(Windowed, scene_hop=10.0)
bands = partial(Sampled, layer=("bands",), pool="mean+deviation")
"""What a network is given, before it does anything: the floor that its embeddings must be above."""


def dbert(model: Tagger, layer: int | None = None, chunk_minutes: float = 3.0) -> Embedder:
    """DBERT's frames: of layer 16 of 24, as published; of another depth the layer at two thirds.

    Args:
        model: a dBERT.
        layer: how many layers run; 0 for all and the projections, None for two thirds.
        chunk_minutes: see `Framed`.
    """
    encoder = model.config.encoder
    if not isinstance(encoder, DBERT):
        raise ConfigError(f"the encoder is a {encoder.kind}; earmark.hear.dbert is dBERT's")
    two_thirds = None if encoder.layer is not None else max(1, round(encoder.depth * 2 / 3))
    return Framed(model, two_thirds if layer is None else layer or None, chunk_minutes)


def fitting(model: Tagger, **how: Any) -> Embedder:
    """For any model: PaSST by windows, dBERT by its own frames, others by frames near each point in time."""
    encoder = model.config.encoder
    if isinstance(encoder, DBERT):
        return dbert(model, **how)
    if isinstance(encoder, PaSST) or not encoder.frame_dim:
        how.setdefault("mode", "all" if model.has_head else "embedding")
        return Windowed(model, **how)
    return Sampled(model, **how)
