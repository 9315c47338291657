"""A known model's description fitted to other clips: their length, and what they are called."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from earmark.config import ConfigError
from earmark.encoders import AST, DBERT, EncoderConfig
from earmark.labels import LabelSet
from earmark.models import LinearHead, TaggerConfig

SHORT = 0.95
"""A clip shorter than this share of the window is filled up."""


def fitted_model(
    source: TaggerConfig, labels: LabelSet, seconds: Sequence[float]
) -> tuple[TaggerConfig, list[str]]:
    """A description for other labels and for clips of other lengths.

    The window is as long as nine of ten clips, but no longer than the one that the model was trained on, and
    no shorter than its encoder takes.

    Args:
        source: of the known model.
        labels: what the new one shall tell apart.
        seconds: how long its clips are; empty if nobody knows.

    Returns:
        The description, and a line for each choice.

    Raises:
        ConfigError: no description fits.
    """
    reasons = [
        f"head: for {len(labels)} classes, new but for those that the model knows by name, "
        + ("of which one holds for a clip" if labels.exclusive else "of which several may hold for a clip")
    ]
    head = source.head or LinearHead()
    if source.head is None:
        reasons.append("head: the model has none, so a linear layer on its summary")
    model = source.replace(labels=labels, head=head, encoder=_without_pretraining(source.encoder))
    wanted = _window(seconds, source.clip_seconds)
    model, why = _shortened(model, wanted, seconds)
    reasons.append(why)
    short = float(np.mean([length < SHORT * model.clip_seconds for length in seconds])) if seconds else 0.0
    if short > 0.1:
        model = model.replace(padding="loop")
        reasons.append(f"padding: {short:.0%} of the clips are shorter and are repeated from their start")
    return model, reasons


def _without_pretraining(encoder: EncoderConfig) -> EncoderConfig:
    """Without the parts that only pretraining uses: labels would teach them nothing."""
    return encoder.replace(clusters=None) if isinstance(encoder, DBERT) else encoder


def _window(seconds: Sequence[float], longest: float) -> float:
    """Nine of ten clips fit into it; whole tenths of a second below three, else halves."""
    if not seconds:
        return longest
    length = float(np.quantile(seconds, 0.9, method="inverted_cdf"))
    step = 0.5 if length > 3 else 0.1
    return min(longest, max(0.2, round(math.ceil(round(length / step, 3)) * step, 6)))


def _shortened(model: TaggerConfig, wanted: float, seconds: Sequence[float]) -> tuple[TaggerConfig, str]:
    spread = f"clips have {min(seconds):.1f} to {max(seconds):.1f} s" if seconds else "lengths are not known"
    if wanted >= model.clip_seconds:
        return model, f"window {model.clip_seconds:g} s, as the model was trained: {spread}"
    for length in (wanted, 0.5, 1.0, 2.0, 5.0):
        if wanted <= length < model.clip_seconds:
            try:
                return _for_length(model, length), f"window {length:g} s: {spread}"
            except (ConfigError, ValueError):
                continue
    return model, f"window {model.clip_seconds:g} s: the encoder takes no shorter ones ({spread})"


def _for_length(model: TaggerConfig, seconds: float) -> TaggerConfig:
    """The same for a shorter window.

    A front end that fills up to a fixed length gets a shorter one, and an AST the table of positions for it,
    a whole number of patches.
    """
    frontend, encoder = model.frontend, model.encoder
    changed: dict[str, Any] = {"clip_seconds": seconds}
    length = getattr(frontend, "length", 0)
    if length:
        own = frontend.replace(length=0).n_frames(round(seconds * frontend.sample_rate))
        patch = getattr(encoder, "patch", 1)
        length = min(length, -(-own // patch) * patch)
        changed["frontend"] = frontend.replace(length=length)
    if isinstance(encoder, AST):
        frames = length or frontend.n_frames(round(seconds * frontend.sample_rate))
        changed["encoder"] = encoder.replace(max_frames=frames)
    return model.replace(**changed)
