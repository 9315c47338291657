"""Kill a small training run again and again at random moments, resume it, and compare its bytes.

    python benchmarks/kills.py DATA/esc10 [--kills 50] [--seed 0] [--pretrain]

The run is that of `esc10-cnn` with a tiny PaSST on clips of one second, three epochs over one fold of ESC-10;
or, with --pretrain, that of `dbert-tiny` with an even smaller dBERT, on the same clips.  Each life is a child
process, forked from one that has imported PyTorch already, and dies by SIGKILL.
"""

import argparse
import hashlib
import os
import random
import signal
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch

from earmark.data import ESC50
from earmark.encoders import PaSST, Patchout
from earmark.encoders.clusters import Clusters
from earmark.recipes import PRETRAINING
from earmark.recipes.esc10 import CNN
from earmark.training import EMA, Settings, train
from earmark.training.pretraining import Seeding
from earmark.training.pretraining.front_door import pretrain

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

TINY = PRETRAINING["dbert-tiny"]
UNLABELED = TINY.replace(
    model=TINY.model.replace(
        encoder=TINY.model.encoder.replace(
            convs=tuple((24, kernel, stride) for _, kernel, stride in TINY.model.encoder.convs),
            width=32,
            depth=2,
            heads=2,
            summary_dim=16,
            position_kernel=16,
            clusters=Clusters(summary=(8,), conv=(16,), output=(16,)),
        )
    ),
    corpus=ESC50(esc10=True),
    objective=TINY.objective.replace(seeding=Seeding(batches=4, clips_per_cluster=4)),
    epochs=4,
    epoch_clips=320,
    batch_size=16,
    crop_seconds=1.0,
)

LEARN = {False: partial(train, RECIPE), True: partial(pretrain, UNLABELED)}


def life(learn: Callable[..., object], data: Path, run: Path, cache: Path) -> None:
    """Train as far as one gets; never returns."""
    try:
        learn(data, run, Settings(resume=True, save_steps=3, cache=cache))
        os._exit(0)
    finally:
        os._exit(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--pretrain", action="store_true")
    given = parser.parse_args()
    learn = LEARN[given.pretrain]
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        started = time.perf_counter()
        learn(given.data, root / "whole", Settings(cache=root / "cache"))
        alone = time.perf_counter() - started
        chance, kills, runs, same = random.Random(given.seed), 0, 0, 0
        while kills < given.kills:
            run = root / f"run-{runs}"
            runs += 1
            while not (run / "model.safetensors").exists():
                child = os.fork()
                if child == 0:
                    life(learn, given.data, run, root / "cache")
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
    """SHA-256 of a run's result, and of the weights that learned."""
    files = [(run / name).read_bytes() for name in ("model.safetensors", "last.safetensors")]
    return hashlib.sha256(b"".join(files)).hexdigest()


if __name__ == "__main__":
    main()
