"""One point of the grid: a network learns, and stops when validation data say so."""

import math
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from earmark.evaluation.hear_tasks.judges import Judge, Processing
from earmark.evaluation.hear_tasks.network import Point, build
from earmark.evaluation.hear_tasks.protocol import Protocol
from earmark.evaluation.hear_tasks.scores import LOWER_IS_BETTER


class Part(NamedTuple):
    """Vectors and what they are called.

    Attributes:
        vectors: of one split or more.
        targets: 1 where a label holds.
    """

    vectors: Float[Tensor, "row dim"]
    targets: Float[Tensor, "row label"]


class Lesson(NamedTuple):
    """What a network learns.

    Attributes:
        train: to learn from.
        valid: to choose by.
        test: to count on.
        choosing: judges answers for `valid`.
        counting: judges answers for `test`.
        metrics: names; the first decides.
        exclusive: one label holds for each vector.
        by_loss: the loss decides in place of the first metric.
    """

    train: Part
    valid: Part
    test: Part
    choosing: Judge
    counting: Judge
    metrics: tuple[str, ...]
    exclusive: bool
    by_loss: bool = False


def learn(lesson: Lesson, point: Point, protocol: Protocol, order: int) -> dict[str, Any]:
    """Train a network and count it at its best epoch.

    Args:
        lesson: data and how they are counted.
        point: of the grid.
        protocol: how long, and the seed.
        order: number of the point, which varies the seed.

    Returns:
        Plain values: the point, `epoch`, `valid` (the score that chose it, the more the better),
        `processing`, `test` (metrics) and `cpu_seconds`.

    Source:
        hear-eval-kit: Adam on batches in an order that is drawn once; of equal scores the earlier epoch.
    """
    began = time.process_time()
    seed = protocol.seed * 1000 + order
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = build(lesson.train.vectors.shape[1], lesson.train.targets.shape[1], point, protocol)
        network.to(lesson.train.vectors.device)
        best = _Best(lesson)
        optimizer = torch.optim.Adam(network.parameters(), lr=point.lr)
        batches = _batches(lesson.train, protocol)
        for epoch in range(1, protocol.max_epochs + 1):
            _epoch(network, optimizer, batches, lesson.exclusive)
            if epoch % protocol.check_every and epoch != protocol.max_epochs:
                continue
            if best.look(network, epoch) >= protocol.patience:
                break
    return best.told() | {**point._asdict(), "cpu_seconds": time.process_time() - began}


def _batches(part: Part, protocol: Protocol) -> list[tuple[Tensor, Tensor]]:
    """Batches in an order drawn once; a last one of a single vector, which has no deviation, joins others."""
    order = torch.randperm(len(part.vectors)).to(part.vectors.device)
    pieces = list(order.split(protocol.batch_size))
    if len(pieces) > 1 and len(pieces[-1]) == 1:
        pieces[-2:] = [torch.cat(pieces[-2:])]
    return [(part.vectors[piece], part.targets[piece]) for piece in pieces]


def _epoch(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batches: Sequence[tuple[Tensor, Tensor]],
    exclusive: bool,
) -> None:
    network.train()
    for vectors, targets in batches:
        optimizer.zero_grad()
        loss = _loss(network(vectors), targets, exclusive)
        loss.backward()
        optimizer.step()


def _loss(logits: Tensor, targets: Tensor, exclusive: bool) -> Tensor:
    if exclusive:
        return nn.functional.cross_entropy(logits, targets)
    return nn.functional.binary_cross_entropy_with_logits(logits, targets)


class _Best:
    """The best epoch so far, and what it gives on held-out data."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson = lesson
        self.epoch, self.score, self.waited = 0, -math.inf, 0
        self.processing = Processing()
        self.test: dict[str, float] = {}

    def look(self, network: nn.Module, epoch: int) -> int:
        """Count on validation data; how many looks ago the best was."""
        network.eval()
        score, processing = self._validated(network)
        if score > self.score or not self.epoch:
            self.epoch, self.score, self.processing, self.waited = epoch, score, processing, 0
            answers, _ = self._answers(network, self.lesson.test)
            counted = self.lesson.counting.count(answers, processing, self.lesson.metrics)
            self.test = {name: _defined(value, name) for name, value in counted.items()}
        else:
            self.waited += 1
        return self.waited

    def told(self) -> dict[str, Any]:
        """As plain values."""
        processing = self.processing._asdict()
        return {"epoch": self.epoch, "valid": self.score, "processing": processing, "test": self.test}

    def _validated(self, network: nn.Module) -> tuple[float, Processing]:
        """The score, the more the better, and with which processing of answers."""
        answers, loss = self._answers(network, self.lesson.valid)
        ways, by_loss = self.lesson.choosing.processings, self.lesson.by_loss
        if by_loss and len(ways) == 1:
            return -loss, ways[0]
        first = self.lesson.metrics[0]
        sign = -1.0 if first in LOWER_IS_BETTER else 1.0
        counted = [self.lesson.choosing.count(answers, way, (first,))[first] for way in ways]
        scores = [sign * _defined(value, first) for value in counted]
        best = max(range(len(ways)), key=scores.__getitem__)
        return (-loss if by_loss else scores[best]), ways[best]

    def _answers(self, network: nn.Module, part: Part) -> tuple[Float[np.ndarray, "row label"], float]:
        with torch.no_grad():
            logits = torch.cat([network(some) for some in part.vectors.split(8192)])
            loss = float(_loss(logits, part.targets, self.lesson.exclusive))
            scores = logits.softmax(dim=1) if self.lesson.exclusive else logits.sigmoid()
        return scores.double().cpu().numpy(), loss


def _defined(value: float, name: str) -> float:
    """A metric that is not defined, such as F where nothing was found and nothing was there, as the worst."""
    if not math.isnan(value):
        return value
    return math.inf if name in LOWER_IS_BETTER else 0.0
