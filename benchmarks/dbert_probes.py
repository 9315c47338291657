"""Linear probes of a pretrained dBERT, of the same network untrained, and of plain log-mel means.

    python benchmarks/dbert_probes.py DATA --model RUN            # DATA holds esc10, fsdd and ravdess_16k
    python benchmarks/dbert_probes.py DATA --model RUN --quick    # one fold of each

Folds are the corpora's own: official ones, speakers, actors.  The probe is that of `earmark evaluate --probe`
(standardized vectors, logistic regression, nothing tuned), on every vector that a clip gives:

    summary     the projected summary token           output   mean of the projected frames
    both        the two side by side (HEAR's scene)   conv     mean of the convolutional features
    layer N     mean of the frames behind layer N, and `N+token` with its summary token beside it
    conv+std    mean and deviation over time of the convolutional features; output+std and the like, too
"""

import argparse
import csv
import statistics
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from earmark import audio
from earmark.encoders.dbert import DBERTEncoder
from earmark.evaluation.probe import found_by_regression
from earmark.frontends import LogMel
from earmark.models import Tagger, load

TASKS = {"esc10": "esc10", "digits": "fsdd", "emotions": "ravdess_16k"}
Vectors = dict[str, np.ndarray]


class Clips(NamedTuple):
    """A corpus in memory."""

    waveforms: list[np.ndarray]
    labels: list[str]
    folds: list[str]


def main() -> None:
    """Probe, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", required=True, help="run folder or checkpoint of a dBERT")
    parser.add_argument("--seeds", type=int, default=2, help="how many untrained networks")
    parser.add_argument("--tasks", nargs="*", choices=[*TASKS], default=[*TASKS])
    parser.add_argument("--quick", action="store_true", help="hold out one fold only")
    parser.add_argument(
        "--only", choices=["model", "random", "mel"], nargs="*", default=["model", "random", "mel"]
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = load(given.model).eval()
    for task in given.tasks:
        clips = read(given.data / TASKS[task], model.sample_rate)
        if "model" in given.only:
            tell(task, "pretrained", clips, [given_by(model, clips)], given.quick)
        if "random" in given.only:
            untrained = [given_by(fresh(model, seed), clips) for seed in range(given.seeds)]
            tell(task, "untrained", clips, untrained, given.quick)
        if "mel" in given.only:
            tell(task, "log-mel", clips, [log_mel(clips, model.sample_rate)], given.quick)


def read(root: Path, rate: int) -> Clips:
    """All clips of a corpus with a metadata.csv."""
    with (root / "metadata.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    files = {path.name: path for path in root.rglob("*") if path.is_file()}
    waveforms = [audio.load(files[row["filename"]], rate) for row in rows]
    return Clips(waveforms, [row["label"] for row in rows], [row["fold"] for row in rows])


def fresh(model: Tagger, seed: int) -> Tagger:
    """The same network, untrained."""
    torch.manual_seed(seed)
    return model.config.build().eval()


def given_by(model: Tagger, clips: Clips) -> Vectors:
    """Everything that a dBERT gives, clip by clip."""
    encoder = model.encoder
    if not isinstance(encoder, DBERTEncoder):
        raise SystemExit("the model is no dBERT")
    caught: list[torch.Tensor] = []
    hooks = [
        block.register_forward_hook(lambda _block, _given, out: caught.append(out))
        for block in encoder.transformer_layers
    ]
    rows: dict[str, list[torch.Tensor]] = {}
    for waveform in clips.waveforms:
        caught.clear()
        for name, vector in of_clip(model, encoder, waveform, caught).items():
            rows.setdefault(name, []).append(vector)
    for hook in hooks:
        hook.remove()
    return {name: torch.stack(several).numpy() for name, several in rows.items()}


@torch.inference_mode()
def of_clip(
    model: Tagger, encoder: DBERTEncoder, waveform: np.ndarray, caught: list[torch.Tensor]
) -> dict[str, torch.Tensor]:
    """All vectors of one clip; one too short is followed by silence."""
    short = max(0, encoder.config.min_frames - len(waveform))
    sound = torch.from_numpy(np.pad(waveform, (0, short)))[None]
    conv = encoder.conv_features(model.frontend(sound))
    encoding = encoder.contextualize(conv)
    summary, output = encoding.summary[0], encoding.frames[0]
    found = {
        "summary": summary,
        "output": output.mean(dim=0),
        "output+std": with_deviation(output),
        "both": torch.cat([summary, output.mean(dim=0)]),
        "conv": conv[0].mean(dim=0),
        "conv+std": with_deviation(conv[0]),
    }
    for number, sequence in enumerate(caught):
        token, frames = sequence[0, 0], sequence[0, 1:]
        found[f"layer {number}"] = frames.mean(dim=0)
        found[f"layer {number}+std"] = with_deviation(frames)
        found[f"{number}+token"] = torch.cat([frames.mean(dim=0), token])
    return found


def with_deviation(frames: torch.Tensor) -> torch.Tensor:
    """Mean and deviation over time."""
    return torch.cat([frames.mean(dim=0), frames.std(dim=0, correction=0)])


@torch.inference_mode()
def log_mel(clips: Clips, rate: int) -> Vectors:
    """Statistics of 64 bands, the plain yardstick."""
    config = LogMel(
        sample_rate=rate, n_mels=64, n_fft=1024, win_length=400, hop_length=160, fmin=50.0, fmax=rate / 2
    )
    frontend, rows = config.build().eval(), []
    for waveform in clips.waveforms:
        short = max(0, config.samples_for(4) - len(waveform))
        rows.append(with_deviation(frontend(torch.from_numpy(np.pad(waveform, (0, short)))[None])[0].T))
    table = torch.stack(rows).numpy()
    return {"mean": table[:, : table.shape[1] // 2], "mean+std": table}


def tell(task: str, who: str, clips: Clips, several: list[Vectors], quick: bool) -> None:
    """Print mean accuracy over folds (and untrained networks), and its deviation over folds."""
    for name in several[0]:
        by_fold = np.mean([accuracies(clips, vectors[name], quick) for vectors in several], axis=0)
        spread = statistics.stdev(by_fold) if len(by_fold) > 1 else 0.0
        folds = " ".join(f"{value:.3f}" for value in by_fold)
        print(f"{task:9s} {who:11s} {name:12s} {by_fold.mean():.3f} +- {spread:.3f}   {folds}", flush=True)


def accuracies(clips: Clips, vectors: np.ndarray, quick: bool) -> list[float]:
    """Share of held-out clips that are found, fold by fold."""
    folds, labels, found = np.array(clips.folds), np.array(clips.labels), []
    for fold in sorted(set(clips.folds))[: 1 if quick else None]:
        held = folds == fold
        said = found_by_regression(vectors[~held], list(labels[~held]), vectors[held])
        found.append(float(np.mean(np.array(said) == labels[held])))
    return found


if __name__ == "__main__":
    main()
