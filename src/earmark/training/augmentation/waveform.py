"""Changes of waveforms, drawn for each clip, before anything is computed from them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor

from earmark import audio
from earmark.config import ConfigError
from earmark.data.feeding.sounds import FULL_SCALE, Sounds
from earmark.training.augmentation.description import Augment, WaveMixup
from earmark.training.augmentation.mixing import dominant

SUFFIXES = {".wav", ".flac", ".ogg", ".aiff", ".aif"}
LONGEST_RESPONSE_SECONDS = 60.0


def draw_waveform(
    sounds: Sounds,
    index: int,
    length: int,
    augment: Augment,
    padding: Literal["none", "zeros", "loop"],
    generator: np.random.Generator,
) -> Float32[np.ndarray, "{length}"]:
    """A clip as training hears it: a stretch of it, amplified, brought to a length, and turned.

    Only the stretch is decoded.  A clip that is shorter than `length` is repeated if the model repeats such
    clips, and else followed by silence.

    Args:
        sounds: the clips.
        index: which one.
        length: samples.
        augment: `crop`, `random_offset`, `gain_db`, `whole_gain` and `roll` are what is applied.
        padding: the model's rule.
        generator: the clip's own.

    Raises:
        AudioError: the clip cannot be decoded.

    Source:
        The order is that of PaSST's loader.
    """
    samples = sounds.n_samples(index)
    start = 0
    if augment.crop and (samples > length or padding == "loop"):
        start = int(generator.integers(samples))
    elif augment.random_offset and samples > length:
        start = int(generator.integers(samples - length + 1))
    pieces = [sounds.read(index, start, min(length, samples - start))]
    missing = length - len(pieces[0])
    if start and missing:  # the circle goes on at the clip's own start
        pieces.append(sounds.read(index, 0, min(missing, start)))
    factor = np.float32(10 ** (gain_db(augment, generator) / 20) * sounds.scale(index) / FULL_SCALE)
    waveform, end = np.empty(length, dtype=np.float32), 0
    for piece in pieces:
        begin, end = end, end + len(piece)
        np.multiply(piece, factor, out=waveform[begin:end])
    if padding == "loop" and 0 < end < length:
        waveform = np.resize(waveform[:end], length)
    else:
        waveform[end:] = 0
    if augment.roll:
        waveform = np.roll(waveform, int(generator.integers(-augment.roll, augment.roll + 1)))
    return waveform


def gain_db(augment: Augment, generator: np.random.Generator) -> float:
    """A random gain in dB: uniform within +-`gain_db`, or a whole number from -`gain_db` to `gain_db` - 1.

    Source:
        The whole numbers are those of PaSST's loader.

    Example:
        >>> draws = np.random.Generator(np.random.Philox(0))
        >>> sorted({gain_db(Augment(gain_db=2, whole_gain=True), draws) for _ in range(50)})
        [-2.0, -1.0, 0.0, 1.0]
    """
    most = augment.gain_db
    if augment.whole_gain:
        return float(generator.integers(-int(most), int(most)))
    return generator.uniform(-most, most) if most else 0.0


def mixing_partner(
    mixup: WaveMixup | None, clips: int, generator: np.random.Generator
) -> tuple[int, float] | None:
    """Which clip of the corpus a clip is mixed with, and its own share; None if it is left alone.

    Args:
        mixup: how often and how; None for never.
        clips: how many clips the corpus has.
        generator: the clip's own.

    Source:
        PaSST's loader, and those of AST, PSLA and AudioTagging Done Right: the partner is any clip of the
        corpus, each as likely, however the clips themselves are drawn.
    """
    if mixup is None or generator.random() >= mixup.share:
        return None
    partner, share = int(generator.integers(clips)), generator.beta(mixup.alpha, mixup.alpha)
    return partner, dominant(share) if mixup.dominant else share


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
        The loaders published with PaSST, AST, PSLA and AudioTagging Done Right; agrees with recorded outputs.

    Example:
        >>> mix_waveforms(torch.tensor([1.0, -1.0, 0.0]), torch.tensor([1.0, -1.0]), 0.75)
        tensor([ 1., -1.,  0.])
    """
    other = (other - other.mean())[: len(waveform)]
    mixed = (waveform - waveform.mean()).mul_(share)
    mixed[: len(other)] += other.mul_(1 - share)
    return mixed.sub_(mixed.mean())


def load_responses(folder: Path, sample_rate: int) -> list[Float32[np.ndarray, "_"]]:
    """The impulse responses in a folder and the folders in it, in the order of their paths.

    Args:
        folder: of sound files, each the response of a room or a microphone.
        sample_rate: that they are brought to, in Hz.

    Raises:
        ConfigError: there is none, or one cannot be used; the sentence names it.
    """
    paths = sorted(p for p in folder.rglob("*") if p.suffix.lower() in SUFFIXES and p.is_file())
    if not paths:
        raise ConfigError(
            f"no impulse responses under {folder}; give a folder with sound files "
            f"({', '.join(sorted(SUFFIXES))})"
        )
    return [_response(path, sample_rate) for path in paths]


def reverberate(
    waveform: Float32[np.ndarray, "sample"],
    share: float,
    responses: Sequence[Float32[np.ndarray, "_"]],
    generator: np.random.Generator,
) -> Float32[np.ndarray, "sample"]:
    """Convolve a clip with a random impulse response, in a share of the draws.

    The result is cut to the clip's length and has the clip's level (root mean square).

    Args:
        waveform: the clip.
        share: how often, 0 to 1.
        responses: of `load_responses`.
        generator: the clip's own.

    Source:
        PaSST's loader.  Deviation: there the result is neither cut nor brought back to its level, and comes
        before the cut to the clip's length.
    """
    if generator.random() >= share:
        return waveform
    response = responses[int(generator.integers(len(responses)))]
    return convolve(torch.from_numpy(waveform), torch.from_numpy(response)).numpy()


def convolve(waveform: Float[Tensor, "sample"], response: Float[Tensor, "tap"]) -> Float[Tensor, "sample"]:
    """Convolve a clip with a response, cut the result to the clip's length and give it the clip's level.

    Example:
        >>> convolve(torch.tensor([1.0, 0.0, 0.0]), torch.tensor([0.0, 2.0]))
        tensor([0., 1., 0.])
    """
    samples = len(waveform)
    size = 1 << (samples + min(len(response), samples) - 1).bit_length()  # no end comes in at the start
    spectrum = torch.fft.rfft(waveform, size) * torch.fft.rfft(response[:samples], size)
    wet = torch.fft.irfft(spectrum, size)[:samples]
    level = waveform.norm() / wet.norm().clamp_min(1e-12)
    return wet * level


def _response(path: Path, sample_rate: int) -> Float32[np.ndarray, "_"]:
    try:
        response = np.array(audio.load(path, sample_rate), dtype=np.float32)
    except audio.AudioError as error:
        raise ConfigError(f"an impulse response cannot be used: {error}") from None
    if len(response) > LONGEST_RESPONSE_SECONDS * sample_rate or not response.any():
        fault = "silent" if not response.any() else f"longer than {LONGEST_RESPONSE_SECONDS:g} s"
        raise ConfigError(f"{path} is {fault}, so it is no impulse response; take it out of the folder")
    return response
