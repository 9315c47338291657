"""A run from its beginning to its end: the loop; read it from top to bottom."""

import logging
import math
import signal
import time
from collections.abc import Callable
from typing import Any

import torch

from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.data import Split
from earmark.models import Tagger
from earmark.training.distributing.sharding import all_placed_like, whole, whole_copy
from earmark.training.distributing.world import World
from earmark.training.learning import AnyRecipe, Means, Outcome, Parts, Shared
from earmark.training.optimizing.optimizer import train_mode
from earmark.training.reading import batches
from earmark.training.run_folder import RESULT, RunFolder
from earmark.training.settings import Settings, TrainingError
from earmark.training.state import State, fingerprint, optimizer_tensors, restore_optimizer
from earmark.training.stopping import Stopping
from earmark.training.supervised.assembly import supervised_parts
from earmark.training.telling.progress import Progress, Stopwatch
from earmark.training.telling.tracking import Tracks

log = logging.getLogger(__name__)

BAD_STEPS = 3
"""So many steps in a row may have a loss or a gradient that is not finite before a run ends."""


class Run:
    """One run: what it works with, and where it stands.

    Args:
        recipe: what is computed.
        split: the corpus.
        folder: where it is kept; None for nowhere.
        place: who takes part.
        settings: where and how it is computed.
        assemble: gives what it works with.
    """

    def __init__(
        self,
        recipe: AnyRecipe,
        split: Split,
        folder: RunFolder | None,
        place: World,
        settings: Settings,
        assemble: Callable[[Any, Split, World, Settings], Parts] = supervised_parts,
    ) -> None:
        self.recipe, self.folder, self.world, self.settings = recipe, folder, place, settings
        self.spent, self.began = 0.0, time.process_time()
        state = folder.newest() if settings.resume and folder is not None else None
        begun = recipe if state is None else recipe.replace(init=None)  # its weights are replaced anyway
        self.model, self.feed, self.learner, self.average, self.validation = assemble(
            begun, split, place, settings
        )
        self.stopping, self.tracks = Stopping(), Tracks()
        self.names = [displayable(clip.path) for clip in split.train]
        self.data = fingerprint(split.train) if folder is not None else ""
        self.epoch = self.step = self.bad_steps = self.heard = 0
        self.loss_sum, self.best = 0.0, float("-inf")
        self.loss, self.means = math.nan, Means()
        self.failures: dict[int, str] = {}
        self.saved = time.monotonic()
        if settings.resume and folder is not None:
            self._restore(folder, state)

    def to_the_end(self, report: Callable[[dict[str, Any]], None] | None = None) -> Tagger:
        """Train from where the run stands to its last epoch."""
        watch, steps = Stopwatch(), self.feed.steps_per_epoch
        progress = Progress(self.recipe.epochs * steps, self.number, self.world.is_main)
        train_mode(self.model)
        for epoch, step, batch in watch.waiting(batches(self.feed, self.epoch, self.step, self.settings)):
            if step == 0 and self.average:
                self.average.start_epoch(self.model, epoch)
            self._learn(batch)
            self.step += 1
            rate = self.learner.optimizer.param_groups[0]["lr"]
            progress.show(self.number, self.loss, rate, batch.total, watch)
            self.tracks.step(self.number, self.loss, rate, batch.total, watch)
            if self.step == steps:
                progress.clear()
                self._end_epoch(watch, report)
            if self._is_due():
                self._save()
                self.stopping.obey()
        return self._finish()

    @property
    def number(self) -> int:
        """The steps that are done, over the whole run."""
        return self.epoch * self.feed.steps_per_epoch + self.step

    def cpu_seconds(self) -> float:
        """Processor time of all training processes, over all starts of the run, but for what a kill undid."""
        own = torch.tensor([time.process_time() - self.began])
        return self.spent + float(self.world.total(own)[0])

    def _learn(self, batch: Shared) -> None:
        """One step, with its rate, its guard and its bookkeeping."""
        factor = self.recipe.schedule.factor(self.number, self.feed.steps_per_epoch, self.recipe.epochs)
        for group in self.learner.optimizer.param_groups:
            group["lr"] = self.recipe.optimizer.lr * factor * group["scale"]
        self._count_failures(batch)
        outcome = self.learner.step(batch, self.epoch, self.number, self.settings.micro_batch)
        self.loss = self.loss if outcome.loss is None else outcome.loss
        if not outcome.applied:
            self._complain(batch, outcome)
            return
        self.bad_steps = 0
        if outcome.loss is not None:
            self.loss_sum += outcome.loss * batch.total
            self.heard += batch.total
        self.means.add(self.learner.measures)
        if self.average:
            self.average.after_step(self.model)

    def _complain(self, batch: Shared, outcome: Outcome) -> None:
        """Name the clips of a step that was not applied; end the run if it was not the first in a row."""
        self.bad_steps += 1
        clips = [clip for share in self.world.gather(batch.clips) for clip in share]
        sentence = (
            f"the loss is {outcome.loss} and the gradient's norm {outcome.gradient_norm} at step "
            f"{self.number + 1}, epoch {self.epoch + 1}; this step was not applied; its clips are "
            + ", ".join(self.names[clip] for clip in clips)
        )
        if self.bad_steps >= BAD_STEPS:
            saved = self.folder is not None and self.folder.newest() is not None
            kept = f"; what was saved in {self.folder.path} stays good" if saved and self.folder else ""
            raise TrainingError(f"{sentence}; it was the last of {BAD_STEPS} such steps in a row{kept}")
        (log.warning if self.world.is_main else log.debug)("%s", sentence)

    def _count_failures(self, batch: Shared) -> None:
        """Log each clip that was replaced, once; end the run if there are too many."""
        if not self.world.total(torch.tensor([float(len(batch.failures))])):
            return
        for share in self.world.gather(batch.failures):
            self.failures |= share
        most = max(1.0, self.settings.max_errors * len(self.names))  # one may always fail, also of a few
        if len(self.failures) > most:
            raise TrainingError(
                f"{len(self.failures)} of {len(self.names)} training clips cannot be decoded, the last "
                f"because {list(self.failures.values())[-1]}; mend the corpus, or allow more by --max-errors"
            )

    def _end_epoch(self, watch: Stopwatch, report: Callable[[dict[str, Any]], None] | None) -> None:
        """Measure, record and save."""
        if self.average:
            self.average.end_epoch(self.model, self.epoch)
        row: dict[str, Any] = {
            "epoch": self.epoch + 1,
            "loss": self.loss_sum / self.heard if self.heard else math.nan,  # nothing was learned
            "lr": self.learner.optimizer.param_groups[0]["lr"],
            "failed_clips": len(self.failures),
            "cpu_seconds": self.cpu_seconds(),
        } | self.means.values()
        row |= watch.lap(self.feed.n_clips)
        if self.validation:
            candidate = self.averaged()
            row |= self.validation.measure(candidate, self.world)
            self._keep_best(candidate, row)
        self.epoch, self.step, self.loss_sum, self.heard = self.epoch + 1, 0, 0.0, 0
        self.means = Means()
        if self.world.is_main:
            if self.folder:
                self.folder.record(row)
            self.tracks.epoch(self.number, row)
            if report:
                report(row)
        watch.lap(0)

    def averaged(self) -> Tagger:
        """A copy of the model as it would be handed out now: averaged if the recipe says so."""
        average = self.average.weights if self.average else None
        return whole_copy(self.model, average or {})

    def _keep_best(self, candidate: Tagger, row: dict[str, Any]) -> None:
        score = row.get("val_accuracy" if candidate.labels.exclusive else "val_map", float("-inf"))
        if score > self.best:
            self.best = score
            if self.folder and self.world.is_main:
                self.folder.export(candidate, "best.safetensors", self.epoch + 1)

    def _is_due(self) -> bool:
        """Whether to save now: it is time, by the main process's clock, or any process was asked to stop."""
        every = self.settings.save_steps
        by_clock = self.world.is_main and time.monotonic() - self.saved > 60 * self.settings.save_minutes
        asked, is_time = self.world.total(torch.tensor([self.stopping.asked, by_clock], dtype=torch.float32))
        self.stopping.asked = self.stopping.asked or (int(signal.SIGTERM) if asked else 0)
        return bool(asked or is_time or (every and self.number % every == 0))

    def _save(self) -> None:
        """Write the state and the models of now."""
        if self.folder is not None:
            state, model = self._state(), whole_copy(self.model)
            if self.world.is_main:
                self.folder.keep(state, self.number)
                self.folder.export(model, "last.safetensors", self.epoch)
        self.saved = time.monotonic()

    def _state(self) -> State:
        counters = {
            "epoch": self.epoch,
            "step": self.step,
            "bad_steps": self.bad_steps,
            "loss_sum": self.loss_sum,
            "heard": self.heard,
            "cpu_seconds": self.cpu_seconds(),
            "best": self.best if self.best > float("-inf") else None,
            "failures": [[clip, why] for clip, why in self.failures.items()],
            "scaler": self.learner.scaler.state_dict(),
            "data": self.data,
            "measures": self.means.sums,
        }
        parts = {"model": self.model.state_dict(), "optimizer": optimizer_tensors(self.learner.optimizer)}
        parts["learner"] = dict(self.learner.state())
        if self.average:
            parts["average"] = self.average.state()
        tensors = {f"{part}.{name}": t for part, named in parts.items() for name, t in named.items()}
        return State(counters, whole(tensors, self.world.is_main), self.recipe.to_json())

    def _restore(self, folder: RunFolder, state: State | None) -> None:
        """Stand where the newest state of the folder stands."""
        if state is None:
            if self.world.is_main:
                log.warning("%s holds no state to go on from; beginning anew", folder.path)
                folder.forget_after(0)
            return
        counters = state.counters
        if counters.get("data", self.data) != self.data:
            raise ConfigError(
                f"{folder.path} holds a run on other clips than those given now (by name, label and time); "
                "resume with the data that it was begun with, or choose another folder"
            )
        self.model.load_state_dict(all_placed_like(state.part("model"), self.model.state_dict()))
        restore_optimizer(self.learner.optimizer, state.part("optimizer"))
        self.learner.restore(state.part("learner"))
        if self.average:
            self.average.restore(all_placed_like(state.part("average"), self.average.state()))
        if self.learner.scaler.is_enabled():
            self.learner.scaler.load_state_dict(counters["scaler"])
        self.epoch, self.step = counters["epoch"], counters["step"]
        self.bad_steps, self.heard = counters["bad_steps"], counters["heard"]
        self.loss_sum, self.spent = counters["loss_sum"], counters.get("cpu_seconds", 0.0)
        self.best = float("-inf") if counters["best"] is None else counters["best"]
        self.failures, self.means = dict(counters["failures"]), Means(counters.get("measures"))
        if self.world.is_main:
            folder.forget_after(self.epoch)
            log.warning("resuming %s at epoch %d, step %d", folder.path, self.epoch + 1, self.step + 1)

    def _finish(self) -> Tagger:
        """The result: averaged if the recipe says so; and the weights as the last step left them."""
        model, last = self.averaged(), whole_copy(self.model)
        if self.folder and self.world.is_main:
            self.folder.export(last, "last.safetensors", self.recipe.epochs)
            self.folder.export(model, RESULT, self.recipe.epochs)  # it says that the run is finished
        self.world.wait()
        return model
