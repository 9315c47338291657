"""The workers of `hear.py`: each holds one implementation of the HEAR modules and does what the parent asks.

    python benchmarks/hear_contestants.py NAME FOLDER

`make` writes the common weights into the folder; `published` is hear21passt; `earmark fp32` and so on are
earmark's modules.  With `first` in the name the network hears the first three windows only and gives zeros
for the rest: what is measured then is memory.
"""

import contextlib
import io
import json
import os
import resource
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from contestants import RATE, import_published, published_net, timed

MODULES = {"base": "passt", "base2levelmel": "passt_2level_mel"}
made_with: list[float] = []
"""Peak memory when each model was made."""
SHOWN = 10
"""Each so many points in time are given back, to be compared."""
FIRST = 3


def sound(seconds: int) -> torch.Tensor:
    """Noise that is louder and softer, the same for all."""
    draws, whole = np.random.default_rng(0), torch.empty(1, seconds * RATE)
    for place, second in enumerate(whole[0].split(RATE)):
        loudness = 0.05 + 0.2 * np.sin(place) ** 2
        noise = torch.from_numpy(draws.standard_normal(RATE, np.float32))
        second[:] = (noise * loudness).clip(-1, 1)
    return whole


def peak_mb() -> float:
    """Of this process."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def make(folder: Path) -> None:
    """Random weights, as published code initializes them."""
    torch.manual_seed(0)
    with contextlib.redirect_stdout(io.StringIO()):
        torch.save(published_net().state_dict(), folder / "passt.pt")


def only_first(network: Callable[..., Any]) -> Callable[..., Any]:
    """The network for the first windows; zeros for the rest."""
    given: list[Any] = []

    def compute(waveform: torch.Tensor) -> Any:
        if len(given) < FIRST:
            given.append(network(waveform))
        return torch.zeros(len(waveform), given[0].shape[1])

    return compute


def published(folder: Path, name: str, few: bool) -> tuple[Any, Any]:
    """A module of hear21passt, and its model with the common weights."""
    import_published()
    from importlib import import_module

    from hear21passt.models.preprocess import AugmentMelSTFT
    from hear21passt.wrapper import PasstBasicWrapper

    net = published_net()
    net.load_state_dict(torch.load(folder / "passt.pt", weights_only=True))
    mel = AugmentMelSTFT(
        n_mels=128, sr=RATE, win_length=800, hopsize=320, n_fft=1024, fmin_aug_range=10, fmax_aug_range=2000
    )
    model = PasstBasicWrapper(mel=mel, net=net).eval()
    if few:
        model.forward = only_first(model.forward)
    return import_module(f"hear21passt.{name}"), model


def earmark(folder: Path, name: str, precision: str, few: bool) -> tuple[Any, Any]:
    """A module of earmark, and its model."""
    from importlib import import_module

    from earmark.cli.allocator import keep_memory

    keep_memory()
    module = import_module(f"earmark.hear.{MODULES[name]}")
    model = module.load_model(str(folder / "passt.pt"), precision=precision)
    if few:
        model.embedder._network = only_first(model.embedder._network)
    return module, model


def runs(maker: str, how: list[str], folder: Path) -> dict[str, Callable[[int], Any]]:
    """What a worker can do; each is given seconds.  Models are made when they are first needed."""
    few = "first" in how
    made: dict[str, tuple[Any, Any]] = {}

    def of(name: str) -> tuple[Any, Any]:
        if name not in made:
            made.clear()  # one at a time, as a user has it
            theirs = maker == "published"
            made[name] = published(folder, name, few) if theirs else earmark(folder, name, how[0], few)
            made_with.append(peak_mb())
        return made[name]

    def timestamps(name: str) -> Callable[[int], Any]:
        def run(seconds: int) -> Any:
            module, model = of(name)
            audio = sound(seconds)
            return lambda: module.get_timestamp_embeddings(audio, model)[0][0, ::SHOWN]

        return run

    def scene(seconds: int) -> Any:
        module, model = of("base")
        audio = sound(seconds)
        return lambda: module.get_scene_embeddings(audio, model)

    def file(seconds: int) -> Any:
        from earmark.hear.streaming import scene_embedding_of

        _, model = of("base")
        return lambda: scene_embedding_of(folder / f"{seconds}.wav", model)[None]

    can = {"scene": scene, **{name: timestamps(name) for name in MODULES}}
    return can | ({"file": file} if maker == "earmark" else {})


def main() -> None:
    name, folder, answers = sys.argv[1], Path(sys.argv[2]), sys.stdout
    warnings.simplefilter("ignore")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    maker, *how = name.split()
    if maker == "make":
        make(folder)
        return
    with contextlib.redirect_stdout(io.StringIO()):  # hear21passt prints its shapes
        can = runs(maker, how, folder)
        answers.write(json.dumps(sorted(can)) + "\n")
        answers.flush()
        for line in sys.stdin:
            asked = json.loads(line)
            run = can[asked["do"]](asked["clips"])
            answer = timed(lambda _, run=run: run().numpy(), 0)
            answers.write(json.dumps(answer | {"loaded_mb": made_with[-1]}) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
