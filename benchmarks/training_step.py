"""Where the time of a training step goes: the trainer itself, on noise, with its cache of decoded clips.

    python benchmarks/training_step.py [--recipes esc10-cnn esc10-passt-tiny] [--epochs 3] [--threads 1]

Clips of noise are written to a temporary folder and decoded into the cache; then the trainer's own loop runs
the recipe on them, and a clock is told where it is: waiting for a batch, in the front end, the augmentation,
the network and the loss, the backward pass, the optimizer, or anywhere else (guards against bad steps,
averaging of weights, bookkeeping).  Batches are made in the training process, nothing is hidden by workers,
and time is the processor's.  The first steps are left out.
"""

import argparse
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")

import numpy as np
import soundfile
import torch

from earmark.cli.allocator import keep_memory
from earmark.data import Folder
from earmark.recipes import RECIPES
from earmark.training import Recipe, Settings
from earmark.training.carrying_out import read_split
from earmark.training.distributing.world import World
from earmark.training.run import Run

PHASES = ("feeding", "front end", "augmentation", "forward", "backward", "optimizer", "rest")
OUTSIDE = (("feeding", "rest"), ("feeding", "rest", "augmentation"))
"""Which sums are told, too."""
STEPS_PER_EPOCH, SKIPPED = 10, 3


class Clock:
    """Sums up the processor's time by what it was spent on.

    Args:
        skipped: steps at the start that are not counted.
    """

    def __init__(self, skipped: int) -> None:
        self.skipped = skipped
        self.steps = 0
        self.spent: Counter[str] = Counter()
        self.phase, self.since = "rest", time.process_time()

    def to(self, phase: str) -> None:
        """From now on it is spent on this."""
        now = time.process_time()
        if self.steps > self.skipped:
            self.spent[self.phase] += now - self.since
        self.steps += phase == "feeding"
        self.phase, self.since = phase, now


def watch(run: Run, clock: Clock) -> None:
    """Have the parts of a run tell the clock when they begin and end."""
    feed, backward = type(run.feed).__getitem__, torch.Tensor.backward

    def fed(self: Any, place: tuple[int, int]) -> Any:
        clock.to("feeding")
        batch = feed(self, place)
        clock.to("rest")
        return batch

    def learned(self: torch.Tensor, *given: Any, **more: Any) -> None:
        clock.to("backward")
        backward(self, *given, **more)
        clock.to("rest")

    type(run.feed).__getitem__, torch.Tensor.backward = fed, learned
    run.model.frontend.register_forward_pre_hook(lambda *_: clock.to("front end"))
    run.model.frontend.register_forward_hook(lambda *_: clock.to("augmentation"))
    run.learner.network.register_forward_pre_hook(lambda *_: clock.to("forward"))
    run.learner.optimizer.register_step_pre_hook(lambda *_: clock.to("optimizer"))
    run.learner.optimizer.register_step_post_hook(lambda *_: clock.to("rest"))


def on_noise(recipe: Recipe, folder: Path, epochs: int) -> Recipe:
    """The recipe for so many epochs on clips of noise, which are written for it."""
    rng = np.random.default_rng(0)
    rate = recipe.model.frontend.sample_rate
    n_train, n_classes = recipe.batch_size * STEPS_PER_EPOCH, len(recipe.model.labels)
    for number in range(n_train + n_classes):
        split = "train" if number < n_train else "test"
        path = folder / split / f"class {number % n_classes}" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = rng.normal(0, 0.1, round(recipe.model.clip_seconds * rate))
        soundfile.write(path, noise.clip(-1, 1), rate)
    corpus = Folder().resolved(folder)
    return recipe.replace(
        corpus=corpus, model=recipe.model.replace(labels=corpus.labels), epochs=epochs, epoch_clips=None
    )


def measure(recipe: Recipe, epochs: int) -> dict[str, float]:
    """Seconds of a step, by phase."""
    with tempfile.TemporaryDirectory() as data, tempfile.TemporaryDirectory() as cache:
        recipe = on_noise(recipe, Path(data), epochs)
        world = World(0, 1, torch.device("cpu"))
        run = Run(recipe, read_split(recipe, Path(data)), None, world, Settings(cache=Path(cache)))
        clock = Clock(SKIPPED)
        watch(run, clock)
        run.to_the_end()
    return {phase: clock.spent[phase] / (epochs * STEPS_PER_EPOCH - SKIPPED) for phase in PHASES}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipes", nargs="+", default=["esc10-cnn", "esc10-passt-tiny"], choices=RECIPES)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    keep_memory()
    columns = (*PHASES, *(" + ".join(phases) for phases in OUTSIDE))
    print(f"| shares of a step | ms | {' | '.join(columns)} |")
    print("|---" * (len(columns) + 2) + "|", flush=True)
    for name in given.recipes:
        spent = measure(RECIPES[name], given.epochs)
        whole = sum(spent.values())
        shares = [f"{100 * sum(spent[p] for p in ps) / whole:.1f} %" for ps in (*zip(PHASES), *OUTSIDE)]
        print(f"| {name} | {1000 * whole:.0f} | {' | '.join(shares)} |", flush=True)
    print(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores, {given.threads} thread(s)")


if __name__ == "__main__":
    main()
