"""Random changes of training clips, between the steps of the one path of sound."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int16
from torch import Tensor, nn

from earmark.training.recipe import Augment, Mixup

Generators = Sequence[np.random.Generator]


def crop(
    waveform: Int16[np.ndarray, "sample"], length: int, generator: np.random.Generator | None
) -> Float[np.ndarray, "{length}"]:
    """Cut `length` samples from a clip that is thought of as a circle.

    A shorter clip is repeated.  Without a generator the cut begins at the clip's start.

    Example:
        >>> crop(np.arange(3, dtype=np.int16), 5, None) * 32768
        array([0., 1., 2., 0., 1.], dtype=float32)
    """
    start = int(generator.integers(len(waveform))) if generator else 0
    turns = -(-(start + length) // len(waveform))
    circle = np.tile(waveform, turns) if turns > 1 else waveform
    return circle[start : start + length].astype(np.float32) / np.float32(32768)


def gain(
    waveform: Float[Tensor, "batch sample"], most_db: float, generators: Generators
) -> Float[Tensor, "batch sample"]:
    """Amplify each clip by a gain in dB drawn uniformly from +-`most_db`."""
    return waveform * 10 ** (_uniform(generators, -most_db, most_db)[:, None] / 20)


def equalize(
    log_mel: Float[Tensor, "batch band frame"], most_db: float, generators: Generators, points: int = 5
) -> Float[Tensor, "batch band frame"]:
    """Add a smooth random curve over the bands: `points` gains within +-`most_db`, joined by straight lines.

    Args:
        log_mel: natural logarithm of power, not normalized.
        most_db: largest boost or cut.
        generators: one for each clip.
        points: evenly spaced over the bands.
    """
    gains = torch.stack([_uniform(generators, -most_db, most_db) for _ in range(points)], dim=1)
    curve = nn.functional.interpolate(
        gains[:, None], size=log_mel.shape[1], mode="linear", align_corners=True
    ).transpose(1, 2)
    return log_mel + curve * (np.log(10) / 10)


def low_pass(
    log_mel: Float[Tensor, "batch band frame"], share: float, floor: float, generators: Generators
) -> Float[Tensor, "batch band frame"]:
    """Set the bands above a random edge to the floor, in a share of the clips.

    Old telephones, narrow codecs and low sample rates do this to real recordings; a model that never heard it
    takes the missing treble for a class.  The edge lies between half of the bands and all.
    """
    bands = log_mel.shape[1]
    hit = _uniform(generators, 0.0, 1.0) < share
    edge = torch.where(
        hit, _uniform(generators, bands / 2, float(bands)), torch.full((len(generators),), float(bands))
    )
    above = torch.arange(bands)[None] >= edge[:, None]
    return log_mel.masked_fill(above[:, :, None], floor)


def stretch_and_warp(
    log_mel: Float[Tensor, "batch band frame"], stretch: float, warp: float, generators: Generators
) -> Float[Tensor, "batch band frame"]:
    """Resample the spectrogram along time and frequency about its lower left corner, clip by clip.

    What is stretched past the end is lost; what is missing is filled by the border.
    """
    scale_t = torch.exp(_uniform(generators, -1.0, 1.0) * np.log1p(stretch))
    scale_f = torch.exp(_uniform(generators, -1.0, 1.0) * np.log1p(warp))
    _, bands, frames = log_mel.shape
    rows = (torch.arange(bands)[None] + 0.5) * scale_f[:, None] / bands * 2 - 1
    columns = (torch.arange(frames)[None] + 0.5) * scale_t[:, None] / frames * 2 - 1
    columns = (columns + 1) % 2 - 1  # the sound goes on at its start, like the crop
    grid = torch.stack(
        [columns[:, None, :].expand(-1, bands, -1), rows[:, :, None].expand(-1, -1, frames)], dim=-1
    )
    sampled = nn.functional.grid_sample(
        log_mel[:, None], grid.to(log_mel), padding_mode="border", align_corners=False
    )
    return sampled[:, 0]


def mix(
    log_mel: Float[Tensor, "batch band frame"],
    targets: Float[Tensor, "batch class"],
    mixup: Mixup,
    generators: Generators,
) -> tuple[Float[Tensor, "batch band frame"], Float[Tensor, "batch class"]]:
    """Mix each clip with its neighbor in the batch, in power, as sounds mix in air.

    The order of a batch is random, so the neighbor is.  The share of a clip itself is at least one half.

    Source:
        Zhang et al., arXiv:1710.09412; in the power domain instead of the logarithm (ours).
    """
    share = torch.tensor([max(b, 1 - b) for b in (g.beta(mixup.alpha, mixup.alpha) for g in generators)])
    share = torch.where(_uniform(generators, 0.0, 1.0) < mixup.share, share, torch.ones_like(share)).float()
    own, other = share[:, None], 1 - share[:, None]
    floor = 1e-12
    mixed = torch.logaddexp(
        log_mel + torch.log(own[..., None]), log_mel.roll(1, 0) + torch.log(other[..., None] + floor)
    )
    return mixed, own * targets + other * targets.roll(1, 0)


def mix_waveforms(
    waveform: Float[Tensor, "sample"], other: Float[Tensor, "any"], share: float
) -> Float[Tensor, "sample"]:
    """Mix two clips as sounds, before anything is computed from them.

    Args:
        waveform: the clip.
        other: another; its end is cut off, or silence is added, to the length of the clip.
        share: weight of the clip, 0 to 1; the other has the rest.

    Returns:
        The mixture, without its mean.

    Source:
        The loaders published with AST, PSLA and AudioTagging Done Right, where it is done with a share of
        Beta(10, 10) and a stated probability; agrees with recorded outputs.

    Example:
        >>> mix_waveforms(torch.tensor([1.0, -1.0, 0.0]), torch.tensor([1.0, -1.0]), 0.75)
        tensor([ 1., -1.,  0.])
    """
    other = (other - other.mean())[: len(waveform)]
    other = nn.functional.pad(other, (0, len(waveform) - len(other)))
    mixed = share * (waveform - waveform.mean()) + (1 - share) * other
    return mixed - mixed.mean()


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
        Park et al., arXiv:1904.08779; widths and starts as torchaudio's masking of single clips draws them.
        With the versions of torchaudio that PaSST was trained with (0.8 to 2.0), `shared` is what happened.
    """
    drawn = features[:1] if shared else features
    generators = generators[:1] if shared and generators is not None else generators
    for axis, most in ((1, freq_mask), (2, time_mask)):
        if most > 0:
            size = features.shape[axis]
            width = _unit(drawn, generators) * most
            start = _unit(drawn, generators) * (size - width)
            first = start.long()[:, None]
            index = torch.arange(size)[None]
            hit = (index >= first) & (index < first + width.long()[:, None])
            hit = hit[:, :, None] if axis == 1 else hit[:, None, :]
            features = features.masked_fill(hit.to(features.device), fill)
    return features


def augment_features(
    features: Float[Tensor, "batch band frame"],
    targets: Float[Tensor, "batch class"],
    augment: Augment,
    scale: tuple[float, float],
    generators: Generators,
) -> tuple[Float[Tensor, "batch band frame"], Float[Tensor, "batch class"]]:
    """Apply everything that changes a spectrogram, in this order: warp, equalizer, low pass, mixup, masks.

    Args:
        features: normalized log mel of the front end.
        targets: one row for each clip.
        augment: what to apply.
        scale: the front end's offset and scale, to get back to the logarithm of power.
        generators: one for each clip.
    """
    offset, factor = scale
    log_mel = features * factor - offset
    floor = float(log_mel.amin())
    if augment.stretch or augment.warp:
        log_mel = stretch_and_warp(log_mel, augment.stretch, augment.warp, generators)
    if augment.equalizer_db:
        log_mel = equalize(log_mel, augment.equalizer_db, generators)
    if augment.low_pass:
        log_mel = low_pass(log_mel, augment.low_pass, floor, generators)
    if augment.mixup:
        log_mel, targets = mix(log_mel, targets, augment.mixup, generators)
    features = (log_mel + offset) / factor
    fill = float(features.mean()) if augment.mask_with == "mean" else offset / factor
    for _ in range(augment.n_masks):
        features = spec_augment(
            features,
            freq_mask=augment.freq_mask,
            time_mask=augment.time_mask,
            fill=fill,
            generators=generators,
            shared=augment.shared_masks,
        )
    return features, targets


def _uniform(generators: Generators, low: float, high: float) -> Float[Tensor, "batch"]:
    return torch.tensor([generator.uniform(low, high) for generator in generators], dtype=torch.float32)


def _unit(features: Tensor, generators: Generators | None) -> Float[Tensor, "batch"]:
    return torch.rand(len(features)) if generators is None else _uniform(generators, 0.0, 1.0)
