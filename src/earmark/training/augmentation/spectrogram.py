"""Changes of spectrograms, as functions of what was drawn for each clip."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

Generators = Sequence[np.random.Generator]


def equalize(
    features: Float[Tensor, "batch band frame"], gains: Float[Tensor, "batch point"]
) -> Float[Tensor, "batch band frame"]:
    """Add a smooth curve over the bands: evenly spaced points, joined by straight lines.

    Args:
        features: logarithmic.
        gains: at the points, the lowest band first, in the unit of the features.

    Example:
        >>> equalize(torch.zeros(1, 5, 1), torch.tensor([[0.0, 1.0]])).flatten()
        tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    curve = nn.functional.interpolate(
        gains[:, None], size=features.shape[1], mode="linear", align_corners=True
    )
    return features + curve.transpose(1, 2)


def low_pass(
    features: Float[Tensor, "batch band frame"], edges: Float[Tensor, "batch"]
) -> Float[Tensor, "batch band frame"]:
    """Set the bands from an edge on to the clip's own floor, its least cell.

    Old telephones, narrow codecs and low sample rates do this to real recordings; a model that never heard it
    takes the missing treble for a class.

    Args:
        features: logarithmic.
        edges: in bands; the number of bands leaves a clip as it is.

    Example:
        >>> low_pass(torch.arange(4.0).reshape(1, 4, 1), torch.tensor([2.0])).flatten()
        tensor([0., 1., 0., 0.])
    """
    above = torch.arange(features.shape[1], device=features.device)[None] >= edges[:, None]
    return torch.where(above[:, :, None], features.amin(dim=(1, 2), keepdim=True), features)


def stretch_and_warp(
    features: Float[Tensor, "batch band frame"],
    time: Float[Tensor, "batch"],
    frequency: Float[Tensor, "batch"],
) -> Float[Tensor, "batch band frame"]:
    """Resample spectrograms along time and frequency about their lower left corner, by straight lines.

    What is stretched past the end is lost.  What is missing is in time the clip's own start, as in a circular
    crop, and in frequency its highest band.

    Args:
        features: any spectrogram.
        time: frame t of the result is frame t * time of the clip.
        frequency: band b of the result is band b * frequency of the clip.

    Example:
        >>> ramp = torch.arange(8.0).reshape(1, 1, 8)
        >>> stretch_and_warp(ramp, torch.tensor([2.0]), torch.tensor([1.0])).flatten()
        tensor([0.5000, 2.5000, 4.5000, 6.5000, 0.5000, 2.5000, 4.5000, 6.5000])
    """
    clips, bands, frames = features.shape
    low, high, way = _places(bands, frequency, circular=False)
    first = torch.arange(clips, device=features.device)[:, None] * bands
    rows = features.reshape(clips * bands, frames)  # whole rows are copied faster than cells are gathered
    lower, upper = (
        rows.index_select(0, (first + index).flatten()).view_as(features) for index in (low, high)
    )
    warped = torch.lerp(lower, upper, way[:, :, None], out=lower)
    low, high, way = _places(frames, time, circular=True)
    earlier, later = (warped.gather(2, i[:, None].expand(-1, bands, -1)) for i in (low, high))
    return torch.lerp(earlier, later, way[:, None], out=earlier)


def stripes(unit: Float[np.ndarray, "clip 2"], size: int, most: int) -> Bool[np.ndarray, "clip {size}"]:
    """A stretch of an axis for each clip.

    Args:
        unit: for each clip two numbers from 0 to 1: where its width lies up to `most`, and where its start
            lies up to the last place that has room for it.
        size: of the axis.
        most: the stretch is narrower than this.

    Source:
        Park et al., arXiv:1904.08779; widths and starts as torchaudio's masking of single clips draws them.

    Example:
        >>> stripes(np.array([[0.5, 0.5]]), 8, 4).astype(int)
        array([[0, 0, 0, 1, 1, 0, 0, 0]])
    """
    width = np.minimum(unit[:, 0] * most, size)
    first = np.floor(unit[:, 1] * (size - width))[:, None]
    index = np.arange(size)[None]
    return (index >= first) & (index < first + np.floor(width)[:, None])


def hide(
    features: Float[Tensor, "batch band frame"],
    bands: Bool[Tensor, "drawn band"],
    frames: Bool[Tensor, "drawn frame"],
    value: Float[Tensor, "filled"],
) -> Float[Tensor, "batch band frame"]:
    """Set bands and frames of each clip to a value.

    Args:
        features: any spectrogram.
        bands: which bands; one row for each clip, or one for all.
        frames: which frames, likewise.
        value: for each clip, or one for all.

    Example:
        >>> hide(torch.ones(1, 2, 2), torch.tensor([[True, False]]), torch.zeros(1, 2).bool(), torch.zeros(1))
        tensor([[[0., 0.],
                 [1., 1.]]])
    """
    kept = (~bands).to(features)[:, :, None] * (~frames).to(features)[:, None, :]
    return torch.lerp(value.to(features)[:, None, None], features, kept)  # exact at 0 and 1, and one pass


def spec_augment(
    features: Float[Tensor, "batch band frame"],
    *,
    freq_mask: int,
    time_mask: int,
    fill: float,
    generators: Generators | None = None,
    shared: bool = False,
) -> Float[Tensor, "batch band frame"]:
    """Mask a stretch of bands, then a stretch of frames, of each clip.

    Args:
        features: any spectrogram.
        freq_mask: the mask is narrower than this many bands; 0 is off.
        time_mask: the mask is narrower than this many frames; 0 is off.
        fill: what masked cells become.
        generators: one for each clip; torch's global generator, in the published order of draws, if None.
        shared: one draw, from the first generator, masks the same cells of all clips of the batch.

    Source:
        As `stripes`.  With the versions of torchaudio that PaSST was trained with (0.8 to 2.0), `shared` is
        what happened.
    """
    clips = 1 if shared else len(features)

    def mask(axis: int, most: int) -> Tensor:
        unit = _unit(clips, generators) if most else np.zeros((clips, 2))
        return torch.from_numpy(stripes(unit, features.shape[axis], most)).to(features.device)

    bands, frames = mask(1, freq_mask), mask(2, time_mask)
    return hide(features, bands, frames, features.new_full((1,), fill))


def add_noise(
    features: Float[Tensor, "batch band frame"], most: float, generators: Generators
) -> Float[Tensor, "batch band frame"]:
    """Add uniform noise to each cell, between 0 and an amount that is drawn for each clip up to `most`.

    Source:
        The loader published with AST, for Speech Commands, with 0.1 at most.
    """
    shape = features.shape[1:]
    noise = np.stack([np.float32(most * g.random()) * g.random(shape, dtype=np.float32) for g in generators])
    return features + torch.from_numpy(noise).to(features)


def roll_frames(
    features: Float[Tensor, "batch band frame"], shifts: Sequence[int]
) -> Float[Tensor, "batch band frame"]:
    """Turn each clip in time by a number of frames; its end comes in at its start.

    Example:
        >>> roll_frames(torch.arange(3.0).reshape(1, 1, 3), [1]).flatten()
        tensor([2., 0., 1.])
    """
    return torch.stack([clip.roll(shift, 1) for clip, shift in zip(features, shifts, strict=True)])


def _places(size: int, scale: Tensor, circular: bool) -> tuple[Tensor, Tensor, Tensor]:
    """Between which two cells each cell of a stretched axis lies, and where between them."""
    place = (torch.arange(size, device=scale.device)[None] + 0.5) * scale[:, None]
    place = ((place % size if circular else place) - 0.5).clamp_(0, size - 1)
    low = place.long()
    return low, (low + 1).clamp_(max=size - 1), place - low


def _unit(clips: int, generators: Generators | None) -> np.ndarray:
    if generators is not None:
        return np.array([generator.random(2) for generator in generators[:clips]])
    return torch.stack([torch.rand(clips), torch.rand(clips)], dim=1).numpy()
