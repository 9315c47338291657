"""A step of masked patches: a few are heard, the others told, and the weights changed or not at all."""

import math
from collections.abc import Mapping
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from earmark.models import Tagger
from earmark.training.distributing.network import accumulating, averages_gradients
from earmark.training.distributing.world import World
from earmark.training.dropping import MOST_SHARES, Share, hearing, own_share, share_dropout
from earmark.training.learning import Outcome
from earmark.training.optimizing.changing import attempted, change
from earmark.training.precision import autocast
from earmark.training.pretraining.batch import Crops
from earmark.training.pretraining.health import CollapseDetector, perplexity
from earmark.training.pretraining.patches.description import MaskedPatches
from earmark.training.pretraining.patches.guesser import PatchGuesser
from earmark.training.pretraining.patches.hiding import cut, heard_patches, unheard
from earmark.training.pretraining.patches.targets import Codebook, standardized
from earmark.training.pretraining.patches.task import Task, told
from earmark.training.pretraining.standardize import RunningMoments
from earmark.training.pretraining.terms import StepTerms
from earmark.training.randomness import generator
from earmark.training.settings import TrainingError
from earmark.training.state import part_of

REMEDY = "take a smaller rate, or hide less; or allow it by objective.collapse"


class Pupil(NamedTuple):
    """Who learns.

    Attributes:
        guesser: the encoder and its decoder.
        called: the same as it is called: over several processes, or compiled.
        optimizer: of its weights.
    """

    guesser: PatchGuesser
    called: nn.Module
    optimizer: torch.optim.Optimizer


class Counts(NamedTuple):
    """What counts in a whole batch.

    Attributes:
        told: what the sums of errors are divided by: values whose content is told, or patches.
        hidden: values that no heard patch covers.
        sounding: values that are sound.
        spread: squared differences of the hidden values from their mean.
    """

    told: float
    hidden: float
    sounding: float
    spread: float


class MaskedLearner:
    """A spectrogram transformer in pretraining, and its decoder.

    Args:
        objective: what is made small.
        terms: how.
        model: whose encoder learns.
        pupil: the model's network, see `patch_guesser`, with its optimizer.
        world: who takes part.

    Attributes:
        measures: of the last step, by name, over all processes.
    """

    def __init__(
        self, objective: MaskedPatches, terms: StepTerms, model: Tagger, pupil: Pupil, world: World
    ) -> None:
        self.objective, self.terms = objective, terms
        self.model, self.pupil, self.world = model, pupil, world
        self.config = pupil.guesser.encoder.config
        self.draws = pupil.guesser.encoder.draws = torch.Generator()
        share_dropout(pupil.guesser)
        self.codebook = None
        if objective.clusters is not None:
            self.codebook = Codebook(objective.clusters, self.config.patch**2, terms.seed, world)
        self.detector = None
        if objective.collapse is not None:
            self.detector = CollapseDetector(objective.collapse, [], ["embedding"], REMEDY)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=terms.precision == "fp16")
        self.measures: dict[str, float] = {}

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """Of encoder and decoder; the run sets its rate."""
        return self.pupil.optimizer

    def step(self, batch: Crops, epoch: int, number: int, micro_batch: int | None) -> Outcome:
        """Learn from a batch; or only collect its patches, as long as there are no clusters.

        Args:
            batch: this process's share.
            epoch: counted from 0.
            number: of the step, over the whole run.
            micro_batch: clips that are in memory at once; None for all.

        Raises:
            TrainingError: all clips have the same embedding.
        """
        self.measures = {}
        once = int(generator(self.terms.seed, epoch, number, "torch").integers(2**62))
        features = self.features(batch, once)
        broken = torch.tensor([float(not bool(features.isfinite().all()))], device=self.world.device)
        if float(self.world.total(broken)):
            return Outcome(float("nan"), float("nan"), applied=False)
        task = self.task_of(features, batch, epoch)
        if self.codebook is not None and self.codebook.centroids is None:
            self.codebook.collect(task.targets[: len(batch.clips)], batch, epoch)
            return Outcome(None, 0.0, applied=True)
        outcome, measures = attempted(
            self.scaler, lambda: self._attempt(task, once, micro_batch), lambda found: found[0]
        )
        if outcome.applied:
            self.measures = measures | {"gradient_norm": outcome.gradient_norm}
            self._watch(measures["deviation_embedding"])
        return outcome

    def state(self) -> dict[str, Shaped[Tensor, "..."]]:
        """All that must be kept for going on to the bit, but for the encoder and the optimizer."""
        weights = self.pupil.guesser.state_dict()
        state = {f"decoder.{name}": t for name, t in weights.items() if not name.startswith("encoder.")}
        if self.detector is not None:
            state["health"] = self.detector.state()
        if self.codebook is not None:
            state |= {f"codebook.{name}": tensor for name, tensor in self.codebook.state().items()}
        return state

    def restore(self, state: Mapping[str, Shaped[Tensor, "..."]]) -> None:
        """Stand where a state stands."""
        self.pupil.guesser.load_state_dict(self.pupil.guesser.state_dict() | part_of(state, "decoder"))
        if self.detector is not None:
            self.detector.restore(state["health"])
        if self.codebook is not None:
            self.codebook.restore(part_of(state, "codebook"))

    @torch.no_grad()
    def features(self, batch: Crops, once: int) -> Float[Tensor, "batch band frame"]:
        """Features of this process's share; of a silent clip, if it has none.

        Args:
            batch: the share.
            once: seed of what is drawn once for the whole batch, such as the edges of mel bands.
        """
        waveform = batch.waveform if batch.clips else batch.waveform.new_zeros(1, batch.waveform.shape[1])
        torch.manual_seed(once)
        return self.model.frontend(waveform.to(self.world.device, non_blocking=True))

    @torch.no_grad()
    def task_of(self, features: Float[Tensor, "batch band frame"], batch: Crops, epoch: int) -> Task:
        """What is to be told of this process's share.

        Args:
            features: of the share, see `features`.
            batch: the share.
            epoch: counted from 0.
        """
        n_frames, device = features.shape[2], features.device
        places = batch.places or [0]
        drawn = heard_patches(self.objective, self.config.grid(n_frames), self.terms.seed, epoch, places)
        heard = torch.from_numpy(drawn).to(device)
        valid = self._valid(batch, n_frames).to(device)
        sounding = cut(valid[:, None].expand(-1, self.config.n_bands, -1), self.config)
        targets = standardized(cut(features, self.config), sounding, self.objective)
        clusters = None
        if self.codebook is not None and self.codebook.centroids is not None:
            clusters = self.codebook.clusters(targets)
        share = None
        if batch.clips:
            share = own_share(len(batch.clips), batch.total, self.world)
        counted = unheard(heard, valid, self.config)
        return Task(features, heard, targets, counted, sounding, clusters, share)

    def _valid(self, batch: Crops, n_frames: int) -> Tensor:
        """Frames of each clip that are sound; none of a silent clip in place of none."""
        if not batch.clips:
            return torch.zeros(1, n_frames, dtype=torch.bool)
        frames = [self.model.config.frontend.n_frames(max(1, int(n))) for n in batch.lengths]
        return torch.arange(n_frames) < torch.tensor(frames)[:, None]

    def _attempt(self, task: Task, once: int, micro_batch: int | None) -> tuple[Outcome, dict[str, float]]:
        """Change the weights, if loss and gradient are finite."""
        called, parts = self.pupil.called, list(task.parts(micro_batch))
        counts, most = self._counts(task, len(parts))
        alike = self.world.size * most <= MOST_SHARES
        factor = self.world.size if averages_gradients(called) else 1
        moments = RunningMoments(self.config.dim).to(self.world.device)
        sizes = [
            1,
            1,
            self.objective.clusters.count if self.objective.clusters else 0,
            2 * self.config.dim + 1,
        ]
        sums = torch.zeros(sum(sizes), device=self.world.device)
        self.optimizer.zero_grad(set_to_none=True)
        for index, part in enumerate(parts):
            stream = 0 if alike else 1 + self.world.rank + self.world.size * index
            with accumulating(called, index == len(parts) - 1):
                said, summary = self._said(part, once, stream, alike)
                found = told(part, said)
                self.scaler.scale(found.wrong / max(counts.told, 1e-9) * factor).backward()
            spread = moments.sums(summary) * float(part.share is not None)
            sums += torch.cat([found.wrong[None], found.right[None], found.guesses, spread]).detach()
        wrong, right, guesses, spread = self.world.total(sums).split(sizes)
        loss = float(wrong) / max(counts.told, 1e-9)
        parameters = self.pupil.guesser.parameters()
        outcome = change(self.optimizer, self.scaler, parameters, loss, self.terms.clip_norm)
        measures = self._measures(loss, float(right), guesses, counts)
        return outcome, measures | {"deviation_embedding": float(moments.of_batch(spread).deviation)}

    def _said(
        self, part: Task, once: int, stream: int, alike: bool
    ) -> tuple[Float[Tensor, "batch patch _"], Float[Tensor, "batch dim"]]:
        """What the network says of a part; what is drawn within is drawn as in the whole batch."""
        torch.manual_seed(once + stream)
        self.draws.manual_seed(once)
        share = part.share if alike and part.share is not None else Share(0, 1, 1)
        with autocast(self.world.device, self.terms.precision), hearing(self.pupil.guesser, share):
            said = self.pupil.called(part.features, part.heard)
        return said.patches, said.summary.detach().float()

    def _counts(self, task: Task, parts: int) -> tuple[Counts, int]:
        """What the sums are divided by, and the most parts that a process has."""
        values = task.targets[task.counted]
        hidden = task.counted.sum()
        of_told = hidden if task.clusters is None else task.weights.sum()
        mine = torch.stack(
            [of_told, hidden, task.sounding.sum(), values.sum(), values.square().sum()]
        ).float()
        of_each = mine.new_zeros(self.world.size)
        of_each[self.world.rank] = parts
        found = self.world.total(torch.cat([mine, of_each])).tolist()
        said, count, sounding, total, squares, *parted = found
        spread = squares - total**2 / max(count, 1)
        return Counts(said, count, sounding, spread), int(max(parted))

    def _measures(
        self, loss: float, right: float, guesses: Float[Tensor, "cluster"], counts: Counts
    ) -> dict[str, float]:
        found = {"coverage": counts.hidden / max(counts.sounding, 1)}
        if self.objective.clusters is None:
            return found | {"explained_patches": 1 - loss * counts.told / max(counts.spread, 1e-9)}
        return found | {
            "accuracy_patches": right / max(counts.told, 1e-9),
            "ce_share_patches": loss / math.log(self.objective.clusters.count),
            "perplexity_patches": float(perplexity(guesses)),
        }

    def _watch(self, deviation: float) -> None:
        """End the run if all clips have the same embedding."""
        verdict = self.detector.look({}, {"embedding": deviation}) if self.detector else None
        if verdict is not None:
            raise TrainingError(verdict)
