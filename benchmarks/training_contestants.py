"""The workers of `patchout.py`: each holds one way to train PaSST-S and does the steps that the parent wants.

    python benchmarks/training_contestants.py NAME FOLDER

NAME is `published` or `earmark`, FOLDER holds the common weights (`contestants.py make`).  Asked for is a way
of patchout and a precision, such as `40/4 fp32`; with `saved` behind it the step also counts what it keeps
for its backward pass.  Answers are lines of JSON.
"""

import contextlib
import io
import json
import os
import resource
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")

import torch
from contestants import published_net
from torch import Tensor, nn

PATCHOUT = {"none": (0, 0, 0), "40/4": (40, 4, 0), "400": (0, 0, 400)}
"""Columns, rows and single patches that are left out."""
BANDS, FRAMES, CLASSES = 128, 998, 527
RATE, DECAY = 2e-5, 1e-4  # of the published AudioSet run


class Trainee(NamedTuple):
    """Something that learns: features and a way of patchout to logits, and what changes its weights."""

    logits: Callable[[Tensor, str], Tensor]
    net: nn.Module
    optimizer: torch.optim.Optimizer


def published(folder: Path) -> Trainee:
    """hear21passt's network and the optimizer of PaSST's own training code."""
    net = published_net().train()
    net.load_state_dict(torch.load(folder / "passt.pt", weights_only=True))

    def logits(features: Tensor, patchout: str) -> Tensor:
        net.s_patchout_t, net.s_patchout_f, net.u_patchout = PATCHOUT[patchout]
        return net(features[:, None])[0]

    return Trainee(logits, net, torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY))


def earmark(folder: Path) -> Trainee:
    """earmark's trainer's network and optimizer, with the command line's allocator."""
    import earmark
    from earmark.cli.allocator import keep_memory
    from earmark.encoders import Patchout
    from earmark.training.distributing.network import Network
    from earmark.training.optimizing.optimizer import AdamW, make_optimizer

    keep_memory()
    model: Any = earmark.load(folder / "passt.pt").train()
    network = Network(model)

    def logits(features: Tensor, patchout: str) -> Tensor:
        time, frequency, patches = PATCHOUT[patchout]
        kept = Patchout(time=time, frequency=frequency, patches=patches)
        model.encoder.config = model.encoder.config.replace(patchout=kept)
        return network(features)

    return Trainee(logits, network, make_optimizer(model, AdamW(lr=RATE, weight_decay=DECAY, decay_all=True)))


@contextlib.contextmanager
def counting(net: nn.Module, sizes: dict[int, int]) -> Iterator[None]:
    """Note the bytes of each memory, other than the parameters', that is kept for the backward pass."""
    own = {parameter.untyped_storage().data_ptr() for parameter in net.parameters()}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor.detach()  # shares the memory, so that it stays and its address stays its own

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        yield


def step(
    trainee: Trainee, features: Tensor, targets: Tensor, patchout: str, precision: str
) -> dict[str, Any]:
    """One training step, and the processor's seconds of its three parts."""
    times = [time.process_time()]
    trainee.optimizer.zero_grad(set_to_none=True)
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        logits = trainee.logits(features, patchout)
    loss = nn.functional.binary_cross_entropy_with_logits(logits.float(), targets)
    times.append(time.process_time())
    loss.backward()
    times.append(time.process_time())
    trainee.optimizer.step()
    times.append(time.process_time())
    parts = {name: times[i + 1] - times[i] for i, name in enumerate(("forward", "backward", "optimizer"))}
    return {"cpu": times[-1] - times[0], "loss": float(loss.detach()), **parts}


def asked(trainee: Trainee, do: str, clips: int, number: int) -> dict[str, Any]:
    """Do one step as asked; number decides its sound and its patches, which are thus alike for all."""
    patchout, precision, *counted = do.split()
    torch.manual_seed(number)
    features = torch.randn(clips, BANDS, FRAMES) / 2
    targets = (torch.rand(clips, CLASSES) < 2 / CLASSES).float()
    sizes: dict[int, int] = {}
    faults, wall = resource.getrusage(resource.RUSAGE_SELF).ru_minflt, time.perf_counter()
    with counting(trainee.net, sizes) if counted else contextlib.nullcontext():
        answer = step(trainee, features, targets, patchout, precision)
    usage = resource.getrusage(resource.RUSAGE_SELF)
    answer |= {"wall": time.perf_counter() - wall, "faults": usage.ru_minflt - faults}
    return answer | {"peak_mb": usage.ru_maxrss * 1024 / 1e6, "saved_mb": sum(sizes.values()) / clips / 1e6}


def main() -> None:
    name, folder, answers = sys.argv[1], Path(sys.argv[2]), sys.stdout
    warnings.simplefilter("ignore")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    with contextlib.redirect_stdout(io.StringIO()):  # hear21passt prints its whole net
        trainee = {each.__name__: each for each in (published, earmark)}[name](folder)
        answers.write(json.dumps([f"{p} {q}" for p in PATCHOUT for q in ("fp32", "bf16")]) + "\n")
        answers.flush()
        for number, line in enumerate(sys.stdin):
            question = json.loads(line)
            answer = asked(trainee, question["do"], question["clips"], number)
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
