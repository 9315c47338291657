"""Kill a small training run again and again at random moments, resume it, and compare its bytes.

    python benchmarks/kills.py DATA/esc10 [--kills 50] [--seed 0]

The run is that of `esc10-cnn` with a tiny PaSST on clips of one second, three epochs over one fold of ESC-10.
Each life is a child process, forked from one that has imported PyTorch already, and dies by SIGKILL.
"""

import argparse
import hashlib
import os
import random
import signal
import tempfile
import time
from pathlib import Path

import torch

from earmark.encoders import PaSST, Patchout
from earmark.recipes.esc10 import CNN
from earmark.training import EMA, Recipe, Settings, train

MODEL = CNN.model.replace(
    clip_seconds=1.0,
    frontend=CNN.model.frontend.replace(
        sample_rate=16000, n_fft=512, win_length=512, hop_length=320, fmin=40.0, fmax=7900.0
    ),
    encoder=PaSST(
        n_bands=64, max_frames=51, dim=48, depth=2, heads=2, stride=(16, 16), patchout=Patchout(time=1)
    ),
)
RECIPE = CNN.replace(model=MODEL, epochs=3, batch_size=16, averaging=EMA(decay=0.9))


def life(recipe: Recipe, data: Path, run: Path, cache: Path) -> None:
    """Train as far as one gets; never returns."""
    try:
        train(recipe, data, run, Settings(resume=True, save_steps=3, cache=cache))
        os._exit(0)
    finally:
        os._exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        started = time.perf_counter()
        train(RECIPE, given.data, root / "whole", Settings(cache=root / "cache"))
        alone = time.perf_counter() - started
        chance, kills, runs, same = random.Random(given.seed), 0, 0, 0
        while kills < given.kills:
            run = root / f"run-{runs}"
            runs += 1
            while not (run / "model.safetensors").exists():
                child = os.fork()
                if child == 0:
                    life(RECIPE, given.data, run, root / "cache")
                longest = alone / 4 if kills < given.kills else 10 * alone
                time.sleep(chance.uniform(0, longest))
                if kills < given.kills:
                    os.kill(child, signal.SIGKILL)
                died = os.waitpid(child, 0)[1]
                kills += died == signal.SIGKILL
            same += digest(run) == digest(root / "whole")
        print(f"{kills} kills in {runs} runs; {same} of {runs} equal the uninterrupted run byte for byte")
        print(f"uninterrupted {alone:.1f} s, all {time.perf_counter() - started:.1f} s")
        raise SystemExit(same != runs)


def digest(run: Path) -> str:
    """SHA-256 of a run's result."""
    return hashlib.sha256((run / "model.safetensors").read_bytes()).hexdigest()


if __name__ == "__main__":
    main()
