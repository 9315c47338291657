"""A step of the student: guesses, the gradient of their loss, a change that is made whole or not at all."""

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from earmark.encoders.clusters import Similarities
from earmark.training.distributing.network import accumulating, averages_gradients
from earmark.training.distributing.world import World
from earmark.training.dropping import MOST_SHARES, Share, hearing, share_dropout
from earmark.training.learning import Outcome
from earmark.training.optimizing.changing import attempted, change
from earmark.training.precision import Precision, autocast
from earmark.training.pretraining.discrimination import (
    Counts,
    Guesses,
    Weights,
    guesses,
    measured,
    share_of_loss,
    sum_of,
)
from earmark.training.pretraining.features import LOCATIONS, Location, Sound
from earmark.training.pretraining.game import real_losses, unmasked_centroids
from earmark.training.pretraining.guesser import Centroids, Guesser, Said
from earmark.training.pretraining.objective import ClusterGuessing

Chances = dict[str, Float[Tensor, "_"]] | None


class Student(NamedTuple):
    """Who learns.

    Attributes:
        guesser: the encoder and its heads.
        called: the same as it is called: over several processes, or compiled.
        optimizer: of its weights.
    """

    guesser: Guesser
    called: nn.Module
    optimizer: torch.optim.Optimizer


class Task(NamedTuple):
    """What is to be guessed of a batch; a process without clips has a silent one of which nothing counts.

    Attributes:
        sound: the clips.
        hidden: frames that the student does not see.
        counted: frames that are no padding.
        clusters: to be guessed, by the name of the clustering.
        share: which clips of the whole batch these are; None for the silent one.
    """

    sound: Sound
    hidden: Bool[Tensor, "batch frame"]
    counted: Bool[Tensor, "batch frame"]
    clusters: dict[str, Int64[Tensor, "batch *frame"]]
    share: Share | None

    def parts(self, size: int | None) -> Iterator["Task"]:
        """The task in parts of so many clips; None for the whole."""
        size = size or len(self.hidden)
        for start in range(0, len(self.hidden), size):
            cut = slice(start, start + size)
            clusters = {name: found[cut] for name, found in self.clusters.items()}
            hidden, counted, share = self.hidden[cut], self.counted[cut], self.share
            if share is not None:
                share = Share(share.start + start, len(hidden), share.total)
            yield Task(self.sound.part(start, size), hidden, counted, clusters, share)


class Guessed(NamedTuple):
    """What came of a step.

    Attributes:
        outcome: loss and norm of the gradient, over the whole batch.
        measures: by name; none if the step was not applied.
    """

    outcome: Outcome
    measures: dict[str, float]


class StudentLearner:
    """Changes the weights of a student.

    Args:
        student: who learns.
        objective: what it makes small.
        heads: name, location and number of clusters of each cluster head, in the order of the generators.
        world: who takes part.
        precision: of the products in the network.
        clip_norm: a longer gradient is shortened to this; None for never.
    """

    def __init__(
        self,
        student: Student,
        objective: ClusterGuessing,
        heads: Sequence[tuple[str, Location, int]],
        world: World,
        precision: Precision = "fp32",
        clip_norm: float | None = None,
    ) -> None:
        self.student, self.objective, self.heads, self.world = student, objective, heads, world
        self.precision: Precision = precision
        self.clip_norm = clip_norm
        share_dropout(student.guesser)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=precision == "fp16")

    def step(self, task: Task, draw: int, micro_batch: int | None, centroids: Centroids | None) -> Guessed:
        """Learn from a batch.

        Args:
            task: this process's share.
            draw: seed of the dropout.
            micro_batch: clips that are in memory at once; None for all.  With the call for diversity all
                clips are heard once more then, because its slope is that of the whole batch.
            centroids: to tell from real frames; None to leave the game out.
        """
        return attempted(
            self.scaler,
            lambda: self._attempt(task, draw, micro_batch, centroids),
            lambda found: found.outcome,
        )

    def _attempt(
        self, task: Task, draw: int, micro_batch: int | None, centroids: Centroids | None
    ) -> Guessed:
        called, parts = self.student.called, list(task.parts(micro_batch))
        counts, most = self._counts(task, len(parts))
        several, alike = most > 1, self.world.size * most <= MOST_SHARES
        streams = [0 if alike else self.world.rank + self.world.size * index for index in range(len(parts))]
        draws = [(draw + stream, alike) for stream in streams]
        chances = self._chances(parts, draws, counts) if several else None
        factor = self.world.size if averages_gradients(called) else 1
        self.student.optimizer.zero_grad(set_to_none=True)
        sums = torch.zeros(1 + 2 * len(self.heads), device=self.world.device)
        for index, part in enumerate(parts):
            with accumulating(called, index == len(parts) - 1):
                said, of_centroids = self._said(part, draws[index], centroids)
                found = self._guesses(part, said)
                if not several:
                    chances = self._mean_chances(found, counts)
                loss = self._loss(found, counts, chances)
                if centroids is not None:
                    loss = loss + self._game(part, said, of_centroids, counts, len(parts))
                self.scaler.scale(loss * factor).backward()
            rows = [torch.stack([one.hidden.sum(), one.right.sum()]) for one in found.values()]
            sums += torch.cat([loss[None], *rows]).detach()
        loss, *totals = self.world.total(sums).tolist()
        outcome = self._apply(loss + self._constant())
        return Guessed(outcome, self._measures(totals, counts) if outcome.applied else {})

    def _counts(self, task: Task, parts: int) -> tuple[dict[Location, Counts], int]:
        """What the sums of each location are divided by, and the most parts that a process has."""
        shown = task.counted & ~task.hidden
        clips = task.counted.any(dim=1)
        mine = torch.stack([task.hidden.sum(), shown.sum(), clips.sum()]).float()
        of_each = mine.new_zeros(self.world.size)
        of_each[self.world.rank] = parts
        hidden, seen, all_clips, *parted = self.world.total(torch.cat([mine, of_each])).tolist()
        frames, summary = Counts(hidden, seen), Counts(all_clips, 0.0)
        return {"conv": frames, "summary": summary, "output": frames}, int(max(parted))

    def _said(
        self, part: Task, drawn: tuple[int, bool], centroids: Centroids | None
    ) -> tuple[Similarities, Said]:
        """What the heads say of a part; its dropout is that of the whole batch, if there are not too many."""
        draw, alike = drawn
        torch.manual_seed(draw)
        share = part.share if alike and part.share is not None else Share(0, 1, 1)
        with autocast(self.world.device, self.precision), hearing(self.student.guesser, share):
            return self.student.called(part.sound.waveform, part.hidden, part.sound.lengths, centroids)

    def _guesses(self, part: Task, said: Similarities) -> dict[str, Guesses]:
        """How each head guessed."""
        clips = part.counted.any(dim=1)
        masks = {"summary": (clips, torch.zeros_like(clips))}
        frames = (part.hidden, part.counted & ~part.hidden)
        similarities = [one for location in LOCATIONS for one in getattr(said, location)]
        return {
            name: guesses(one, part.clusters[name], *masks.get(location, frames), self.objective.temperature)
            for (name, location, _), one in zip(self.heads, similarities, strict=True)
        }

    @torch.no_grad()
    def _chances(
        self, parts: list[Task], draws: list[tuple[int, bool]], counts: dict[Location, Counts]
    ) -> Chances:
        """The mean chances of the whole batch, before its parts are learned from one by one."""
        if not self.objective.diversity:
            return None
        said = [self._said(part, drawn, None)[0] for part, drawn in zip(parts, draws, strict=True)]
        found = [self._guesses(part, one) for part, one in zip(parts, said, strict=True)]
        names = [name for name, _, _ in self.heads]
        added = {name: sum_of([one[name] for one in found]) for name in names}
        return self._mean_chances(added, counts)

    def _mean_chances(self, found: dict[str, Guesses], counts: dict[Location, Counts]) -> Chances:
        if not self.objective.diversity:
            return None
        mine = [found[name].chances.detach() for name, _, _ in self.heads]
        parts = self.world.total(torch.cat(mine)).split([len(one) for one in mine])
        return {
            name: part / max(counts[location].hidden + counts[location].shown, 1)
            for (name, location, _), part in zip(self.heads, parts, strict=True)
        }

    def _loss(
        self, found: dict[str, Guesses], counts: dict[Location, Counts], chances: Chances
    ) -> Float[Tensor, ""]:
        """This part's share of the loss, over all heads; those of one location share its weight."""
        return torch.stack(
            [
                share_of_loss(
                    found[name],
                    counts[location],
                    self._weights(location),
                    None if chances is None else chances[name],
                )
                for name, location, _ in self.heads
            ]
        ).sum()

    def _weights(self, location: Location) -> Weights:
        objective, heads = self.objective, sum(at == location for _, at, _ in self.heads)
        weight = objective.weight(location) / heads
        return Weights(weight, objective.shown_weight, objective.diversity / heads if weight else 0.0)

    def _constant(self) -> float:
        """What the shares of the call for diversity lack in sum: its weight times log K - 1, of each head."""
        return sum(self._weights(at).diversity * (math.log(size) - 1) for _, at, size in self.heads)

    def _game(
        self, part: Task, said: Similarities, of_centroids: Said, counts: dict[Location, Counts], parts: int
    ) -> Float[Tensor, ""]:
        """This part's share of telling centroids from real frames, weighted."""
        generated, temperature = self.student.guesser.generated, self.objective.temperature
        names = [name for name, location, _ in self.heads if location == "output"]
        if generated is None or not names:
            return part.sound.waveform.new_zeros(())
        losses = [
            torch.where(part.hidden, real_losses(one, part.clusters[name], score, temperature), 0.0).sum()
            / max(counts["output"].hidden, 1)
            + unmasked_centroids(fakes, score, temperature) / (parts * self.world.size)
            for name, one, fakes, score in zip(names, said.output, of_centroids, generated, strict=True)
        ]
        return self.objective.real_vs_centroid * torch.stack(losses).mean()

    def _apply(self, loss: float) -> Outcome:
        """Change the weights, if loss and gradient are finite."""
        student = self.student
        parameters = student.guesser.parameters()
        return change(student.optimizer, self.scaler, parameters, loss, self.clip_norm)

    def _measures(self, totals: list[float], counts: dict[Location, Counts]) -> dict[str, float]:
        frames = counts["conv"]
        found = {"coverage": frames.hidden / max(frames.hidden + frames.shown, 1)}
        for (name, location, size), hidden, right in zip(self.heads, totals[::2], totals[1::2], strict=True):
            numbers = measured(hidden, right, counts[location].hidden, size)
            found |= {f"{what}_{name}": value for what, value in numbers.items()}
        return found
