"""One step: a batch to a loss, its gradient, and a change of the weights that is made whole or not at all."""

import math
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earmark.models import Tagger
from earmark.training.augmentation.description import Draws, augment_batch
from earmark.training.distributing.network import accumulating, averages_gradients
from earmark.training.distributing.world import World, standing_in
from earmark.training.dropping import MOST_SHARES, Share, hearing, share_dropout
from earmark.training.learning import Outcome, Tensors
from earmark.training.precision import autocast
from earmark.training.randomness import clip_generators, generator
from earmark.training.supervised.distillation import Teacher
from earmark.training.supervised.feed import Batch
from earmark.training.supervised.objectives import clip_losses
from earmark.training.supervised.recipe import Recipe


class Learner:
    """A model in training, with its optimizer: what a step needs and changes.

    Args:
        recipe: what is computed.
        model: the model, on its device.
        optimizer: of its weights.
        world: who takes part.
        network: the learned part of the model as it is called; see `wrapped`.
        teacher: hears the very same waveforms, if the recipe distills from one.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: Tagger,
        optimizer: torch.optim.Optimizer,
        world: World,
        network: nn.Module,
        teacher: Teacher | None = None,
    ) -> None:
        self.recipe, self.model, self.optimizer, self.world = recipe, model, optimizer, world
        self.network, self.teacher = network, teacher
        self.measures: dict[str, float] = {}
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=recipe.precision == "fp16")
        share_dropout(model)
        self.draws = torch.Generator()
        if hasattr(model.encoder, "draws"):
            setattr(model.encoder, "draws", self.draws)  # noqa: B010 (torch types every attribute as a tensor)

    def step(self, batch: Batch, epoch: int, number: int, micro_batch: int | None) -> Outcome:
        """Learn from a batch.

        In fp16 a gradient that is too large for it is computed again at half the scale, and no step is lost.

        Args:
            batch: this process's share.
            epoch: counted from 0.
            number: of the step, over the whole run.
            micro_batch: clips that are in memory at once; None for all.
        """
        scale = self.scaler.get_scale()
        outcome = self._attempt(batch, epoch, number, micro_batch)
        while outcome.overflowed and self.scaler.get_scale() > 1:
            self.scaler.update(self.scaler.get_scale() / 2)
            outcome = self._attempt(batch, epoch, number, micro_batch)
        if not outcome.applied and self.scaler.is_enabled():
            self.scaler.update(scale)  # it was not to blame
        return outcome

    def state(self) -> Tensors:
        """Nothing but what weights and optimizer hold."""
        return {}

    def restore(self, state: Tensors) -> None:
        """Nothing to do."""

    def _attempt(self, batch: Batch, epoch: int, number: int, micro_batch: int | None) -> Outcome:
        """Change the weights, if loss and gradient are finite."""
        statistics = {name: buffer.clone() for name, buffer in self._running()}
        self.optimizer.zero_grad(set_to_none=True)
        parts = list(_parts(batch, micro_batch, self.world.size))
        factor = self.world.size if averages_gradients(self.network) else 1
        total = 0.0
        alike = self.world.size * len(parts) <= MOST_SHARES
        for index, part in enumerate(parts):
            empty, last = not part.clips, index == len(parts) - 1
            stream = 0 if alike else self.world.rank + self.world.size * index
            with ExitStack() as within:
                within.enter_context(accumulating(self.network, last))
                within.enter_context(standing_in(self.model, empty))
                if alike and not empty:
                    first = part.places[0] % self.recipe.batch_size
                    within.enter_context(hearing(self.model, Share(first, len(part.clips), batch.total)))
                losses = self.losses(_silence(part) if empty else part, epoch, number, stream)
                share = losses.sum() * (not empty) / batch.total
                self.scaler.scale(share * factor).backward()
            total += float(share.detach())
        loss = float(self.world.total(torch.tensor([total]))[0])
        norm = self._gradient_norm()
        if not (math.isfinite(loss) and math.isfinite(norm)):
            for name, buffer in self._running():
                buffer.copy_(statistics[name])
            return Outcome(loss, norm, applied=False)
        self._clip(norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return Outcome(loss, norm, applied=True)

    def losses(self, part: Batch, epoch: int, number: int, stream: int) -> Float[Tensor, "batch"]:
        """The loss of each clip of a part of a batch: the one path of sound, with randomness in between.

        What is drawn inside the network is drawn alike in all parts and processes: once for the whole batch,
        as patchout and the edges of mel bands, or for each value of the whole batch, as dropout.  Only where
        there are too many parts for that has each a stream of its own for dropout.
        """
        recipe, device = self.recipe, self.world.device
        once = int(generator(recipe.seed, epoch, number, "torch").integers(2**62))
        waveform, targets = part.waveform.to(device, non_blocking=True), part.targets.to(device)
        known = None if part.known is None else part.known.to(device)
        if self.teacher is not None:
            targets = self.teacher.blend(targets, waveform)
        torch.manual_seed(once)
        self.draws.manual_seed(once)
        with torch.no_grad():
            features = self.model.frontend(waveform)
            features, targets, known = augment_batch(
                features,
                targets,
                known,
                recipe.augment,
                recipe.model.frontend,
                Draws(
                    clip_generators(recipe.seed, epoch, part.places, "augment"),
                    generator(recipe.seed, epoch, number, "batch"),
                ),
            )
        if stream:
            torch.manual_seed(once + stream)
        with autocast(device, recipe.precision):
            logits = self.network(features)
        exclusive = self.model.labels.exclusive and not recipe.binary
        return clip_losses(logits.float(), targets, known, exclusive, recipe.label_smoothing)

    def _running(self) -> Iterator[tuple[str, Tensor]]:
        """The buffers that training changes, such as the statistics of batch norms."""
        kept = self.model.state_dict(keep_vars=True)
        return ((name, buffer) for name, buffer in self.model.named_buffers() if name in kept)

    def _gradient_norm(self) -> float:
        self.scaler.unscale_(self.optimizer)
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        norm: Any = torch.nn.utils.get_total_norm(gradients)
        return float(norm.full_tensor() if hasattr(norm, "full_tensor") else norm)

    def _clip(self, norm: float) -> None:
        most = self.recipe.clip_norm
        if most is not None and norm > most:
            for parameter in self.model.parameters():
                if parameter.grad is not None:
                    parameter.grad.mul_(most / norm)


def _parts(batch: Batch, size: int | None, processes: int) -> Iterator[Batch]:
    """Cut a batch into parts at even places, where pairs of clips that are mixed with one another end.

    All processes get equally many, since they wait for one another in each; the last may be empty.
    """
    largest = 2 * -(-batch.total // (2 * processes))  # share of a process
    size = largest if size is None else max(2, size - size % 2)
    for start in range(0, largest, size):
        cut = slice(start, start + size)
        known = None if batch.known is None else batch.known[cut]
        yield batch._replace(
            waveform=batch.waveform[cut],
            targets=batch.targets[cut],
            known=known,
            clips=batch.clips[cut],
            places=batch.places[cut],
        )


def _silence(part: Batch) -> Batch:
    """A silent clip in place of none, which some networks cannot take; its loss is not counted."""
    return part._replace(
        waveform=part.waveform.new_zeros(1, part.waveform.shape[1]),
        targets=part.targets.new_zeros(1, part.targets.shape[1]),
        known=None if part.known is None else part.known.new_ones(1, part.known.shape[1]),
        places=[0],
    )
