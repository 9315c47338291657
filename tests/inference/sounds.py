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
