"""Sounds and a small model for tests."""

from pathlib import Path

import numpy as np
import soundfile
import torch

from earmark.encoders import ResidualCNN
from earmark.frontends import LogMel
from earmark.labels import LabelSet
from earmark.models import Tagger, TaggerConfig

RATE = 16000


def make_model(padding: str = "loop", exclusive: bool = False, clip_seconds: float = 1.0) -> Tagger:
    torch.manual_seed(0)
    return (
        TaggerConfig(
            frontend=LogMel(
                sample_rate=RATE, n_fft=512, win_length=400, hop_length=160, n_mels=32, fmax=8000.0
            ),
            encoder=ResidualCNN(n_bands=32, widths=(4, 8), blocks=1, stem=4),
            labels=LabelSet(names=("Dog", "Rain", "Wind"), exclusive=exclusive),
            clip_seconds=clip_seconds,
            padding=padding,
        )
        .build()
        .eval()
    )


def noise(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise whose loudness wanders, so that no two stretches score the same."""
    count = round(seconds * RATE)
    swell = 0.05 + 0.3 * np.abs(np.sin(np.arange(count) / RATE * (1 + seed)))
    return (np.random.default_rng(seed).normal(0, 1, count) * swell).clip(-1, 1).astype(np.float32)


def write_sounds(folder: Path, *seconds: float) -> list[Path]:
    """Float wav files of the given lengths."""
    paths = [folder / f"sound{index:03d}.wav" for index in range(len(seconds))]
    for index, (path, length) in enumerate(zip(paths, seconds, strict=True)):
        soundfile.write(path, noise(length, index), RATE, subtype="FLOAT")
    return paths


def spread(model: Tagger) -> Tagger:
    """Scores that swing around a half: a fresh model says nearly the same of everything."""
    with torch.inference_mode():
        heard = torch.from_numpy(sound(8.0)).reshape(-1, RATE // 4)
        logits = model(model.padded(heard))
        layer = getattr(model.head, "linear", None) or model.head.fc_prob
    with torch.no_grad():
        gain = 1.5 / logits.std(dim=0)
        layer.weight.mul_(gain[:, None])
        layer.bias.copy_(gain * (layer.bias - logits.mean(dim=0)))
    return model


def sound(seconds: float, seed: int = 0) -> np.ndarray:
    """Noise with tones in it that come and go."""
    samples = noise(seconds, seed)
    rng = np.random.default_rng(seed)
    time = np.arange(len(samples)) / RATE
    for _ in range(int(2 * seconds)):
        start, length, pitch = rng.uniform(0, seconds), rng.uniform(0.1, 1.5), rng.uniform(200, 6000)
        samples = samples + 0.3 * np.sin(2 * np.pi * pitch * time) * (time >= start) * (time < start + length)
    return samples.clip(-1, 1).astype(np.float32)
