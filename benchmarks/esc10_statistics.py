"""The sanity row of every table: statistics of log-mel and MFCC, logistic regression, five official folds.

    python benchmarks/esc10_statistics.py DATA/esc10

What falls below this row is broken or under-trained.
"""

import statistics
import sys
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from earmark import audio
from earmark.data import ESC50
from earmark.recipes.esc10 import FRONTEND


def describe(path: Path, frontend: torch.nn.Module, cosines: np.ndarray) -> np.ndarray:
    """Mean, deviation, least and largest of log-mel and MFCC; deviation of the MFCC's differences."""
    waveform = torch.from_numpy(audio.load(path, FRONTEND.sample_rate))
    with torch.inference_mode():
        log_mel = frontend(waveform[None])[0].numpy()
    tracks = np.concatenate([log_mel, cosines @ log_mel])
    changes = np.diff(tracks[len(log_mel) :], axis=1)
    over_time = (tracks.mean(axis=1), tracks.std(axis=1), tracks.min(axis=1), tracks.max(axis=1))
    return np.concatenate([*over_time, changes.std(axis=1)])


def main(root: Path) -> None:
    frontend = FRONTEND.build().eval()
    bands = np.arange(FRONTEND.n_mels)
    cosines = np.cos(np.pi / FRONTEND.n_mels * (bands[None] + 0.5) * np.arange(20)[:, None]).astype(
        np.float32
    )
    accuracies = []
    cache: dict[Path, np.ndarray] = {}
    for fold in range(1, 6):
        split = ESC50(esc10=True, fold=fold).read(root)
        for clip in (*split.train, *split.test):
            if clip.path not in cache:
                cache[clip.path] = describe(clip.path, frontend, cosines)
        model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=3000))
        model.fit([cache[c.path] for c in split.train], [c.labels[0] for c in split.train])
        accuracies.append(model.score([cache[c.path] for c in split.test], [c.labels[0] for c in split.test]))
        print(f"fold {fold}: {accuracies[-1]:.4f}")
    print(f"mean {statistics.mean(accuracies):.4f}, deviation over folds {statistics.stdev(accuracies):.4f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
