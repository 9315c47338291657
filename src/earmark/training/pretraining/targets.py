"""What there is to guess: what the teacher hears, standardized, collected at first, then clustered."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn

from earmark.encoders.dbert import DBERTEncoder
from earmark.training.distributing.world import World
from earmark.training.pretraining.batch import Crops
from earmark.training.pretraining.collecting import Collection
from earmark.training.pretraining.features import LOCATIONS, Features, Location, Sound, no_features
from earmark.training.pretraining.generation import Generated, GeneratorLearner
from earmark.training.pretraining.generators import Generators
from earmark.training.pretraining.objective import ClusterGuessing
from earmark.training.pretraining.reassignment import Usage, drawn_vectors, revive
from earmark.training.pretraining.standardize import Moments, RunningMoments
from earmark.training.pretraining.teacher import Teacher
from earmark.training.randomness import generator
from earmark.training.state import optimizer_tensors, restore_optimizer

Kept = dict[str, Shaped[Tensor, "..."]]


class Heard(NamedTuple):
    """What the teacher says of a batch.

    Attributes:
        sound: this process's share of it.
        features: of this share, as they come, or each vector leveled; see `Standardize`.
        moments: of the whole batch.
        counts: vectors of the whole batch that are no padding.
    """

    sound: Sound
    features: Features
    moments: dict[Location, Moments]
    counts: dict[Location, Float[Tensor, ""]]


class Targets:
    """Teacher, moments and generators, with all that they remember.

    Args:
        objective: what is computed.
        encoder: the student.
        seed: of the run.
        world: who takes part; all processes hold the same centroids.

    Attributes:
        iterations: how often centroids were moved.
        seeded: whether the centroids have begun.
    """

    def __init__(self, objective: ClusterGuessing, encoder: DBERTEncoder, seed: int, world: World) -> None:
        self.objective, self.seed, self.world = objective, seed, world
        config, generation, device = encoder.config, objective.generation, world.device
        self.config = config
        self.teacher = Teacher(encoder, objective.teacher)
        dims: dict[Location, int] = {
            "conv": config.conv_dim,
            "summary": config.summary_dim,
            "output": config.conv_dim,
        }
        self.moments: dict[Location, RunningMoments] = {
            location: RunningMoments(dims[location]).to(device) for location in LOCATIONS
        }
        self.generators = Generators(config, generation.distance, generation.forcing).to(device)
        self.learner = GeneratorLearner(self.generators, generation, world)
        self.collection = Collection(objective.seeding, seed)
        self.usage = {n: Usage(len(one.centroids), device) for n, _, one in self.generators.named()}
        self.iterations, self.seeded = 0, False

    def hear(self, sound: Sound, micro_batch: int | None) -> Heard | None:
        """Let the teacher hear a batch.

        Args:
            sound: this process's share.
            micro_batch: clips that are in memory at once; None for all.

        Returns:
            None if a number of the features is not finite, in any process.
        """
        clips = len(sound.waveform)
        size = micro_batch or max(clips, 1)
        parts = [self.teacher.features(sound.part(at, size)) for at in range(0, clips, size)]
        if not parts:
            n_frames = self.config.n_frames(sound.waveform.shape[2])
            parts = [no_features(self.config, n_frames, self.world.device)]
        features = self._leveled(Features(*(torch.cat(several) for several in zip(*parts, strict=True))))
        mine = [
            self.moments[at].sums(getattr(features, at), None if at == "summary" else sound.valid)
            for at in LOCATIONS
        ]
        sums = self.world.total(torch.cat(mine))
        if not bool(sums.isfinite().all()):
            return None
        by_location: dict[Location, Tensor] = dict(
            zip(LOCATIONS, sums.split([len(one) for one in mine]), strict=True)
        )
        moments: dict[Location, Moments] = {
            at: self.moments[at].of_batch(one) for at, one in by_location.items()
        }
        return Heard(sound, features, moments, {at: one[-1] for at, one in by_location.items()})

    def follow(self, heard: Heard, updates: int) -> None:
        """Move the running moments towards those of a batch, after so many updates of the student."""
        for location, moments in heard.moments.items():
            self.moments[location].update(moments, self.objective.momentum_at(updates))

    def collect(self, heard: Heard, batch: Crops, step: tuple[int, int]) -> None:
        """Keep features of a batch for the centroids, which begin as soon as there are enough.

        Args:
            heard: what was heard of the batch.
            batch: this process's share.
            step: epoch and number of the step over the whole run.
        """
        self.collection.add(heard.features, heard.sound, batch, step, self.world)
        if self.collection.is_enough(self.generators):
            self.collection.plant(self.generators, self.moments if self.objective.standardize else {})
            self.seeded = True

    def find(
        self,
        heard: Heard,
        batch: Crops,
        step: tuple[int, int],
        game: Callable[[], Float[Tensor, ""]] | None = None,
    ) -> Generated:
        """Find the clusters of a batch, and move the centroids; dead ones begin anew.

        Args:
            heard: what was heard of the batch.
            batch: this process's share.
            step: epoch and number of the step over the whole run.
            game: what the centroids are to make small besides.
        """
        features = self._standardized(heard.features)
        generated = self.learner.step(features, heard.sound.valid, heard.counts, game)
        if generated.applied:
            self.iterations += 1
            for name, counts in generated.counts.items():
                self.usage[name].add(counts)
            self._reassign(features, heard.sound, batch, step)
        return generated

    def output_centroids(self) -> list[Float[Tensor, "_ dim"]]:
        """The output's centroids as the encoder's output would be."""
        found: list[Tensor] = [one.centroids for one in self.generators.at("output")]
        return [self.moments["output"].undo(one) for one in found] if self.objective.standardize else found

    def state(self) -> dict[str, Kept]:
        """All that must be kept for going on to the bit, by part and name."""
        counters = [self.iterations, self.seeded, self.collection.batches]
        parts: dict[str, Kept] = {
            "generators": dict(self.generators.state_dict()),
            "generator_optimizer": optimizer_tensors(self.learner.optimizer),
            "collection": {str(location): rows for location, rows in self.collection.rows.items()},
            "targets": {"counters": torch.tensor(counters, dtype=torch.int64)},
        }
        parts |= {f"moments_{location}": dict(one.state_dict()) for location, one in self.moments.items()}
        for name, one in self.usage.items():
            parts[f"usage_{name}"] = {"counts": one.counts, "average": one.average}
        if self.objective.teacher is not None:
            parts["teacher"] = dict(self.teacher.encoder.state_dict())
        return parts

    def restore(self, part: Callable[[str], Kept]) -> None:
        """Stand where a state stands.

        Args:
            part: gives the tensors of a part, by name.
        """
        self.generators.load_state_dict(part("generators"))
        restore_optimizer(self.learner.optimizer, part("generator_optimizer"))
        rows = part("collection")
        self.collection.rows = {location: rows[location].cpu() for location in LOCATIONS if location in rows}
        iterations, seeded, self.collection.batches = part("targets")["counters"].tolist()
        self.iterations, self.seeded = iterations, bool(seeded)
        for location, one in self.moments.items():
            one.load_state_dict(part(f"moments_{location}"))
        for name, one in self.usage.items():
            kept = part(f"usage_{name}")
            one.counts.copy_(kept["counts"])
            one.average.copy_(kept["average"])
        if self.objective.teacher is not None:
            self.teacher.encoder.load_state_dict(part("teacher"))

    def _leveled(self, features: Features) -> Features:
        """Each vector at mean 0 and variance 1, if the objective says so."""
        if self.objective.standardize is None or not self.objective.standardize.each:
            return features
        return Features(*(nn.functional.layer_norm(one, one.shape[-1:]) for one in features))

    def _standardized(self, features: Features) -> Features:
        if self.objective.standardize is None:
            return features
        return Features(*(self.moments[at](getattr(features, at)) for at in LOCATIONS))

    def _reassign(self, features: Features, sound: Sound, batch: Crops, step: tuple[int, int]) -> None:
        config = self.objective.generation.reassign
        if config is None or self.iterations % config.every:
            return
        for name, location, clustering in self.generators.named():
            dead = self.usage[name].dead(config)
            if bool(dead.any()):
                lengths = None if location == "summary" else sound.lengths
                draw = generator(self.seed, *step, f"reassign {name}")
                of_location = getattr(features, location)
                vectors = drawn_vectors(of_location, lengths, batch, int(dead.sum()), draw, self.world)
                revive(clustering, self.learner.optimizer, dead, vectors)
