"""Linear probes of a pretrained dBERT, of the same network untrained, and of plain log-mel means.

    python benchmarks/dbert_probes.py DATA --model RUN            # DATA holds esc10, fsdd and ravdess_16k
    python benchmarks/dbert_probes.py DATA --model RUN --quick --vectors output "layer 1+std"

Folds are the corpora's own: official ones, speakers, actors.  The probe is that of `earmark probe`
(standardized vectors, logistic regression, nothing tuned), on every vector that a clip gives:

    summary     the projected summary token           output   mean of the projected frames
    both        the two side by side (HEAR's scene)   conv     mean of the convolutional features
    layer N     mean of the frames behind layer N     N+std    their mean and deviation over time

Rows: `pretrained`; `untrained`, the same description with other seeds, which begins with bands if the recipe
says so; `random`, the same with a random first convolution, too; `log-mel`, statistics of 64 bands.
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
from earmark.models import Tagger, TaggerConfig, load

TASKS = {"esc10": "esc10", "digits": "fsdd", "emotions": "ravdess_16k"}
ROWS = ("pretrained", "untrained", "random", "log-mel")
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
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=[*ROWS])
    parser.add_argument("--vectors", nargs="*", help="only these; all if not given")
    parser.add_argument("--quick", action="store_true", help="hold out one fold only")
    given = parser.parse_args()
    torch.set_num_threads(1)
    model = load(given.model).eval()
    for task in given.tasks:
        clips = read(given.data / TASKS[task], model.sample_rate)
        for row in given.rows:
            several = rows_of(row, model, clips, given.seeds)
            if given.vectors and row != "log-mel":
                several = [{name: one[name] for name in given.vectors} for one in several]
            tell(task, row, clips, several, given.quick)


def rows_of(row: str, model: Tagger, clips: Clips, seeds: int) -> list[Vectors]:
    """The vectors of a row of the table, for each seed."""
    if row == "pretrained":
        return [given_by(model, clips)]
    if row == "log-mel":
        return [log_mel(clips, model.sample_rate)]
    config = model.config
    if row == "random":
        config = config.replace(encoder=config.encoder.replace(filters="random"))
    return [given_by(fresh(config, seed), clips) for seed in range(seeds)]


def read(root: Path, rate: int) -> Clips:
    """All clips of a corpus with a metadata.csv."""
    with (root / "metadata.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    files = {path.name: path for path in root.rglob("*") if path.is_file()}
    waveforms = [audio.load(files[row["filename"]], rate) for row in rows]
    return Clips(waveforms, [row["label"] for row in rows], [row["fold"] for row in rows])


def fresh(config: TaggerConfig, seed: int) -> Tagger:
    """A network as it is described, untrained."""
    torch.manual_seed(seed)
    return config.build().eval()


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
        "both": torch.cat([summary, output.mean(dim=0)]),
        "conv": conv[0].mean(dim=0),
    }
    for number, sequence in enumerate(caught):
        found[f"layer {number}"] = sequence[0, 1:].mean(dim=0)
        found[f"{number}+std"] = with_deviation(sequence[0, 1:])
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
