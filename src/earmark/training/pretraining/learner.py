"""An iteration of pretraining: the teacher hears, the generators cluster, the student guesses."""

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from earmark.config import ConfigError
from earmark.encoders.dbert import DBERTEncoder
from earmark.models import Tagger
from earmark.training.distributing.world import World
from earmark.training.dropping import own_share
from earmark.training.learning import Outcome, Tensors
from earmark.training.precision import autocast
from earmark.training.pretraining.batch import Crops
from earmark.training.pretraining.features import Location, Sound, valid_frames
from earmark.training.pretraining.game import passed_centroids
from earmark.training.pretraining.generation import Generated
from earmark.training.pretraining.guesser import Centroids, Guesser
from earmark.training.pretraining.guessing import Student, StudentLearner, Task
from earmark.training.pretraining.health import CollapseDetector, spreads
from earmark.training.pretraining.masking import span_masks
from earmark.training.pretraining.objective import ClusterGuessing
from earmark.training.pretraining.targets import Heard, Kept, Targets
from earmark.training.pretraining.terms import StepTerms
from earmark.training.randomness import generator
from earmark.training.settings import TrainingError
from earmark.training.state import part_of

WATCHED = ("summary", "output")
"""Locations whose vectors must not become all the same; those of the convolutions do not by themselves."""


@runtime_checkable
class Terms(StepTerms, Protocol):
    """What a recipe says of the steps of a dBERT's pretraining."""

    @property
    def objective(self) -> ClusterGuessing:
        """What is made small."""
        ...


def guesser_of(model: Tagger, objective: ClusterGuessing) -> Guesser:
    """The network of a model that is to be pretrained.

    Raises:
        ConfigError: the model's encoder has no clusters to guess, or is cut off below its projections.
    """
    encoder = model.encoder
    if not isinstance(encoder, DBERTEncoder) or encoder.config.clusters is None or encoder.config.layer:
        raise ConfigError(
            f"the encoder is {model.config.encoder}; guessing clusters needs a dBERT with clusters and all "
            "its layers, as DBERT(clusters=Clusters())"
        )
    return Guesser(encoder, objective.conv_gradient, plays=objective.real_vs_centroid > 0)


class PretrainLearner:
    """A student in pretraining, and what it guesses; the interface of `supervised.learner.Learner`.

    Args:
        terms: what is computed.
        model: whose encoder learns.
        student: the model's network, see `guesser_of`, with its optimizer.
        world: who takes part.

    Attributes:
        measures: of the last step, by name, over all processes.
        updates: of the student.
    """

    def __init__(self, terms: Terms, model: Tagger, student: Student, world: World) -> None:
        self.terms, self.model, self.student, self.world = terms, model, student, world
        self.objective = objective = terms.objective
        self.targets = Targets(objective, student.guesser.encoder, terms.seed, world)
        named = self.targets.generators.named()
        heads: list[tuple[str, Location, int]] = [(name, at, len(one.centroids)) for name, at, one in named]
        self.guessing = StudentLearner(student, objective, heads, world, terms.precision, terms.clip_norm)
        self.detector = None
        if objective.collapse is not None:
            names = [name for name, _, _ in heads]
            self.detector = CollapseDetector(objective.collapse, names, WATCHED)
        self.updates = 0
        self.measures: dict[str, float] = {}

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The student's; the run sets its rate."""
        return self.student.optimizer

    @property
    def scaler(self) -> torch.amp.GradScaler:
        """Of the student's gradients."""
        return self.guessing.scaler

    def step(self, batch: Crops, epoch: int, number: int, micro_batch: int | None) -> Outcome:
        """Hear a batch and cluster it; at every so-manyth iteration also learn to guess the clusters.

        Args:
            batch: this process's share.
            epoch: counted from 0.
            number: of the step, over the whole run.
            micro_batch: clips that are in memory at once; None for all.

        Returns:
            The student's loss; None at iterations at which it learns nothing.  Not applied if a number was
            not finite: then the student, and what was not finite, stay as they were.

        Raises:
            TrainingError: the features have collapsed.
        """
        self.measures, where = {}, (epoch, number)
        heard = self.hear(batch, micro_batch)
        if heard is None:
            return Outcome(float("nan"), float("nan"), applied=False)
        self.targets.follow(heard, self.updates)
        if not self.targets.seeded:
            self.targets.collect(heard, batch, where)
            return Outcome(None, 0.0, applied=True)
        plays = self.student.guesser.generated is not None
        generated = self.targets.find(heard, batch, where, (lambda: self._game(heard)) if plays else None)
        if not generated.applied:
            return Outcome(generated.loss, float("nan"), applied=False)
        outcome = Outcome(None, 0.0, applied=True)
        if self.targets.iterations % self.objective.every == 0:
            outcome = self._guess(self.task_of(heard, generated, batch, where), heard, where, micro_batch)
        self._watch(heard, generated)
        return outcome

    def state(self) -> Kept:
        """All that must be kept for going on to the bit, but for the encoder and its optimizer."""
        parts = self.targets.state()
        parts["student"] = {"counters": torch.tensor([self.updates], dtype=torch.int64)}
        if self.detector is not None:
            parts["student"]["health"] = self.detector.state()
        if self.student.guesser.generated is not None:
            parts["student"]["generated"] = self.student.guesser.generated.detach()
        return {f"{part}.{name}": tensor for part, named in parts.items() for name, tensor in named.items()}

    @torch.no_grad()
    def restore(self, state: Tensors) -> None:
        """Stand where a state stands."""
        self.targets.restore(lambda name: part_of(state, name))
        kept = part_of(state, "student")
        self.updates = int(kept["counters"])
        if self.detector is not None:
            self.detector.restore(kept["health"])
        if self.student.guesser.generated is not None:
            self.student.guesser.generated.copy_(kept["generated"])

    def hear(self, batch: Crops, micro_batch: int | None) -> Heard | None:
        """Let the teacher hear a batch; None if a number of its features is not finite, in any process."""
        device, precision = self.world.device, self.terms.precision
        with torch.no_grad():
            waveform = self.model.frontend(batch.waveform.to(device, non_blocking=True))
        valid = self._valid(batch)
        sound = Sound(waveform, None if bool(valid.all()) else valid.to(device))
        with autocast(device, precision):
            return self.targets.hear(sound, micro_batch)

    def _valid(self, batch: Crops) -> Tensor:
        return valid_frames(self.student.guesser.encoder.config, batch.waveform.shape[1], batch.lengths)

    def task_of(self, heard: Heard, generated: Generated, batch: Crops, where: tuple[int, int]) -> Task:
        """What the student is to guess of this process's share.

        Args:
            heard: what the teacher says of it.
            generated: its clusters.
            batch: the share.
            where: epoch and number of the step over the whole run.
        """
        sound, valid = heard.sound, self._valid(batch).numpy()
        if not batch.clips:
            return _nothing(sound, valid.shape[1], generated)
        hidden = span_masks(self.objective.mask, valid, self.terms.seed, where, batch.places)
        on_device = [torch.from_numpy(one).to(self.world.device) for one in (hidden, valid)]
        share = own_share(len(batch.clips), batch.total, self.world)
        return Task(sound, on_device[0], on_device[1], generated.clusters, share)

    def _guess(self, task: Task, heard: Heard, where: tuple[int, int], micro_batch: int | None) -> Outcome:
        """A step of the student, and one of the teacher behind it."""
        draw = int(generator(self.terms.seed, *where, "torch").integers(2**62))
        centroids = None
        if self.student.guesser.generated is not None:
            vectors = [one.detach() for one in self.targets.output_centroids()]
            centroids = Centroids(vectors, heard.moments["summary"].mean)
        outcome, measures = self.guessing.step(task, draw, micro_batch, centroids)
        if outcome.applied:
            self.targets.teacher.follow(self.updates)
            self.updates += 1
            self.measures |= measures | {"gradient_norm": outcome.gradient_norm}
        return outcome

    def _game(self, heard: Heard) -> Float[Tensor, ""]:
        """What the generator makes small besides: that the student knows its centroids."""
        guesser, temperature = self.student.guesser, self.objective.temperature
        said = guesser.said_of(Centroids(self.targets.output_centroids(), heard.moments["summary"].mean))
        scores = [] if guesser.generated is None else list(guesser.generated.detach())
        losses = [passed_centroids(one, score, temperature) for one, score in zip(said, scores, strict=True)]
        return self.objective.real_vs_centroid * torch.stack(losses).mean()

    def _watch(self, heard: Heard, generated: Generated) -> None:
        """Measure the health of the features; end the run if they have collapsed."""
        found = spreads(generated.counts)
        deviations = {str(at): float(moments.deviation) for at, moments in heard.moments.items()}
        self.measures |= {"generator_loss": generated.loss}
        self.measures |= {f"perplexity_{name}": spread.perplexity for name, spread in found.items()}
        self.measures |= {f"deviation_{at}": value for at, value in deviations.items()}
        for name, _, clustering in self.targets.generators.named():
            norm = clustering.centroids.detach().norm(dim=1).mean()
            self.measures[f"centroid_norm_{name}"] = float(norm)
        watched = {at: deviations[at] for at in WATCHED}
        verdict = self.detector.look(found, watched) if self.detector else None
        if verdict is not None:
            raise TrainingError(verdict)


def _nothing(sound: Sound, n_frames: int, generated: Generated) -> Task:
    """A silent clip of which nothing counts, for a process without clips."""
    device = sound.waveform.device
    none = torch.zeros(1, n_frames, dtype=torch.bool, device=device)
    silence = Sound(sound.waveform.new_zeros(1, *sound.waveform.shape[1:]), none)
    clusters = {name: found.new_zeros(1, *found.shape[1:]) for name, found in generated.clusters.items()}
    return Task(silence, none, none, clusters, None)
