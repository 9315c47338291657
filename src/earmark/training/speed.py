"""How fast a recipe trains: full steps on made-up clips, and where their time goes."""

import os
import statistics
import sys
import time
from collections import defaultdict
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earmark.config import ConfigError
from earmark.models import Tagger
from earmark.training.distributing.network import network_of, wrapped
from earmark.training.distributing.world import World, world
from earmark.training.optimizing.optimizer import make_optimizer, train_mode
from earmark.training.settings import Settings
from earmark.training.supervised.feed import Batch
from earmark.training.supervised.learner import Learner
from earmark.training.supervised.recipe import Recipe

WARM_UP = 3
"""Steps before the first that counts: memory is asked for, kernels are chosen, `torch.compile` compiles."""

PARTS = ("front end", "augmentation", "forward", "backward", "optimizer", "average", "other")


class Speed(NamedTuple):
    """What was measured.

    Attributes:
        clips_per_second: in steps of median length.
        step_seconds: the median.
        slowest_seconds: the longest step.
        steps: how many were timed, after `WARM_UP` others.
        batch_size: clips in a step.
        clip_seconds: their length.
        shares: of a step's time, by part; `augmentation` is that of features, `backward` holds the gradient's
            norm.  The waveforms are there already: reading and changing them is not counted.
        peak_bytes: most memory in use: of the process on a CPU, of its tensors on a GPU.
        parameters: of the model.
        precision: of the recipe.
        device: what computed it.
        threads: of the processor.
        compiled: whether by `torch.compile`.
    """

    clips_per_second: float
    step_seconds: float
    slowest_seconds: float
    steps: int
    batch_size: int
    clip_seconds: float
    shares: dict[str, float]
    peak_bytes: int
    parameters: int
    precision: str
    device: str
    threads: int
    compiled: bool


def measure_speed(recipe: Recipe, settings: Settings | None = None, steps: int = 20) -> Speed:
    """Train on made-up clips for some steps, and time them.

    Each is a step as in a run: front end, augmentation, network, loss, gradient, its norm, optimizer,
    average. The weights are random, whatever `init` says; no data are needed.

    Args:
        recipe: what is trained.
        settings: `device`, `micro_batch`, `compile` and `recompute` count.
        steps: how many are timed.

    Raises:
        ConfigError: under `torchrun`, or the batch does not fit the recipe.

    Source:
        `model_speed_test` of PaSST's training code, which times 100 steps of fp16 on ones, without a front
        end and without setting gradients to zero.
    """
    settings = settings or Settings()
    with world(settings.device) as place:
        if place.size > 1:
            raise ConfigError("bench-train measures one process; start it without torchrun")
        torch.manual_seed(recipe.seed)
        model = recipe.model.build().to(place.device)
        train_mode(model)
        bare = network_of(model, place, settings)
        optimizer = make_optimizer(model, recipe.optimizer)
        clock = Clock(place.device)
        network = _Timed(wrapped(bare, place, settings), clock)
        watched = _Watched(recipe, model, optimizer, place, network, clock)
        average = recipe.averaging.build(model, recipe.epochs) if recipe.averaging else None
        batch = made_up(recipe, place)
        for number in range(WARM_UP + steps):
            clock.begin()
            watched.step(batch, 0, number, settings.micro_batch)
            if average:
                clock.mark("other")
                average.after_step(model)
                clock.mark("average")
            clock.end()
        return _summed(recipe, settings, model, clock, steps)


def made_up(recipe: Recipe, place: World) -> Batch:
    """A batch of noise with targets that fit the labels."""
    draws = torch.Generator().manual_seed(recipe.seed)
    samples = round(recipe.heard_seconds * recipe.model.frontend.sample_rate)
    size, classes = recipe.batch_size, len(recipe.model.labels)
    waveform = 0.1 * torch.randn(size, samples, generator=draws)
    targets = nn.functional.one_hot(torch.randint(classes, (size,), generator=draws), classes).float()
    clips = list(range(size))
    return Batch(
        waveform=waveform.to(place.device),
        targets=targets.to(place.device),
        known=None,
        clips=clips,
        places=clips,
        total=size,
        failures={},
    )


class Clock:
    """Times the parts of steps.

    Args:
        device: where they are computed; a GPU is waited for at each mark.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.steps: list[float] = []
        self.parts: list[dict[str, float]] = []
        self._last = self._began = 0.0

    def begin(self) -> None:
        """A step begins."""
        self._last = self._began = self._now()
        self.parts.append(defaultdict(float))

    def mark(self, part: str) -> None:
        """What was done since the last mark is a part of this name."""
        now = self._now()
        self.parts[-1][part] += now - self._last
        self._last = now

    def end(self) -> None:
        """A step is over."""
        self.mark("other")
        self.steps.append(self._last - self._began)

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return time.perf_counter()


class _Timed(nn.Module):
    """The network between two marks."""

    def __init__(self, network: Any, clock: Clock) -> None:
        super().__init__()
        self.network, self.clock = network, clock

    def forward(self, features: Float[Tensor, "batch band frame"]) -> Float[Tensor, "batch class"]:
        self.clock.mark("augmentation")
        logits = self.network(features)
        self.clock.mark("forward")
        return logits


class _Watched(Learner):
    """A learner that says when the parts of its step are done."""

    def __init__(
        self,
        recipe: Recipe,
        model: Tagger,
        optimizer: torch.optim.Optimizer,
        place: World,
        network: nn.Module,
        clock: Clock,
    ) -> None:
        super().__init__(recipe, model, optimizer, place, network)
        self.clock = clock
        model.frontend.register_forward_pre_hook(lambda *_: clock.mark("other"))
        model.frontend.register_forward_hook(lambda *_: clock.mark("front end"))
        optimizer.register_step_pre_hook(lambda *_: clock.mark("backward"))
        optimizer.register_step_post_hook(lambda *_: clock.mark("optimizer"))

    def losses(self, part: Batch, epoch: int, number: int, stream: int) -> Float[Tensor, "batch"]:
        if part.places[0] % self.recipe.batch_size:
            self.clock.mark("backward")  # of the part of the batch before
        losses = super().losses(part, epoch, number, stream)
        self.clock.mark("forward")
        return losses


def _summed(recipe: Recipe, settings: Settings, model: Tagger, clock: Clock, steps: int) -> Speed:
    times, parts = clock.steps[-steps:], clock.parts[-steps:]
    medians = {name: statistics.median(part.get(name, 0.0) for part in parts) for name in PARTS}
    total, step = sum(medians.values()), statistics.median(times)
    return Speed(
        clips_per_second=recipe.batch_size / step,
        step_seconds=step,
        slowest_seconds=max(times),
        steps=steps,
        batch_size=recipe.batch_size,
        clip_seconds=recipe.heard_seconds,
        shares={name: seconds / total for name, seconds in medians.items()},
        peak_bytes=peak_bytes(clock.device),
        parameters=model.count_parameters(),
        precision=recipe.precision,
        device=torch.cuda.get_device_name(clock.device) if clock.device.type == "cuda" else str(clock.device),
        threads=torch.get_num_threads(),
        compiled=settings.compile,
    )


def peak_bytes(device: torch.device) -> int:
    """Most memory that was in use so far: of tensors on a GPU, of the process on a CPU; 0 if nobody knows."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if os.name != "posix":
        return 0
    import resource

    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
