"""What a model computes for an embedding run: its summary, chosen layers, bands, logits."""

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from earmark.config import ConfigError
from earmark.encoders import Encoding
from earmark.encoders.encoding import Layer
from earmark.inference.hearing import Give
from earmark.inference.placing import Hearer, TensorGive
from earmark.inference.settings import EmbedSettings, Place, Pooling
from earmark.models import Tagger
from earmark.models.ensemble import Ensemble

Waveform = Float[Tensor, "batch sample"]
Values = Float[Tensor, "batch ..."]


def what_to_give(model: Hearer, settings: EmbedSettings) -> TensorGive:
    """What the model computes for these settings.

    Raises:
        ConfigError: the model has no head, no frames, or no such layer.
    """
    if settings.mode != "embedding":
        return _with_logits(model, settings.mode == "all")
    if isinstance(model, Ensemble):
        if settings.level == "frame" or settings.layer is not None or settings.pool != "summary":
            raise ConfigError("an ensemble has no frames or layers in common; embed with one of its members")
        return Give(lambda waveform: model.both(waveform)[1].summary, model.embedding_dim)
    taps = [_tap(model, place) for place in settings.places]
    if settings.level == "frame":
        return _frames(model, taps[0])
    if settings.layer is None and settings.pool == "summary":
        return Give(model.summarize, model.embedding_dim)
    return _clips(model, taps, settings.pool)


class Tap(NamedTuple):
    """A place inside a model.

    Attributes:
        place: the front end's bands, a layer of the encoder, or its end.
        grid: what comes there.
    """

    place: Place
    grid: Layer

    def encoding(self, model: Tagger, features: Float[Tensor, "batch band frame"]) -> Encoding:
        """What the model has there."""
        if self.place == "bands":
            return Encoding(features.transpose(1, 2), features.mean(dim=2))
        return model.encoder(features, None if self.place == "end" else self.place)


def _tap(model: Tagger, place: Place) -> Tap:
    """One place, with what comes there.

    Raises:
        ConfigError: there is no such place.
    """
    encoder, bands = model.config.encoder, model.config.frontend.n_bands
    if place == "end":
        return Tap(place, Layer(encoder.dim, encoder.frame_dim, encoder.frame_stride, encoder.first_frame))
    if place == "bands":
        if bands == 1:
            raise ConfigError("layer is 'bands', but this model hears the waveform itself and has none")
        return Tap(place, Layer(bands, bands, 1, 0.0))
    n = len(encoder.layers)
    if not -n <= place < n:
        raise ConfigError(f"layer is {place} but the encoder has {n}; give {-n} to {n - 1}")
    return Tap(place, encoder.layers[place])


def _clips(model: Tagger, taps: list[Tap], pool: Pooling) -> TensorGive:
    """All places in one vector, in the order that they were asked for."""

    def compute(waveform: Waveform) -> Values:
        features = model.frontend(waveform)
        return torch.cat([pooled(tap.encoding(model, features), pool) for tap in taps], dim=1)

    widths = {"mean": 1, "mean+deviation": 2}
    return Give(
        compute,
        sum(tap.grid.dim if pool == "summary" else widths[pool] * tap.grid.frame_dim for tap in taps),
    )


def pooled(encoding: Encoding, pool: Pooling) -> Float[Tensor, "batch dim"]:
    """One vector for each clip.

    Example:
        >>> frames = torch.tensor([[[1.0, 5.0], [3.0, 5.0]]])
        >>> pooled(Encoding(frames, torch.zeros(1, 4)), "mean+deviation")
        tensor([[2., 5., 1., 0.]])
    """
    if pool == "summary":
        return encoding.summary
    mean = encoding.frames.mean(dim=1)
    return mean if pool == "mean" else torch.cat([mean, encoding.frames.std(dim=1, correction=0)], dim=1)


def _frames(model: Tagger, tap: Tap) -> TensorGive:
    frontend = model.config.frontend
    return Give(
        lambda waveform: tap.encoding(model, model.frontend(waveform)).frames,
        tap.grid.frame_dim,
        tap.grid.frame_stride * frontend.frame_seconds,
        frontend.first_frame_seconds + tap.grid.first_frame * frontend.frame_seconds,
    )


def _with_logits(model: Hearer, and_summary: bool) -> TensorGive:
    if not model.has_head:
        raise ConfigError("this model has no head and gives embeddings only; take --mode embedding")

    def compute(waveform: Waveform) -> Values:
        logits, encoding = model.both(waveform)
        return torch.cat([logits, encoding.summary], dim=1) if and_summary else logits

    return Give(compute, len(model.labels) + and_summary * model.embedding_dim)
