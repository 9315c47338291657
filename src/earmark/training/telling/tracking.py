"""What a run tells of itself while it goes: TensorBoard and curves, and Weights & Biases or MLflow if asked.

None of them can end a run: one that fails is left away from there on, with a warning.  A run that goes on
after a kill computes some steps again, to the bit; no tracker shows them twice.
"""

import json
import logging
import time
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

from earmark.config import ConfigError
from earmark.training.learning import AnyRecipe
from earmark.training.run_folder import RunFolder
from earmark.training.settings import Settings
from earmark.training.telling.progress import Stopwatch
from earmark.training.telling.trackers import Curves, MLflow, TensorBoard, Tracker, WandB

log = logging.getLogger(__name__)

STEP_SECONDS = 1.0
"""Between two steps that are told of, at least."""


class Tracks:
    """All trackers of a run; none by default.

    Args:
        trackers: by the names that they have in warnings.
    """

    def __init__(self, trackers: Mapping[str, Tracker] | None = None) -> None:
        self.trackers = dict(trackers or {})
        self.told = time.monotonic() - STEP_SECONDS  # so that the first step is told of
        self.clips = 0

    def step(self, number: int, loss: float, rate: float, clips: int, watch: Stopwatch) -> None:
        """Tell of a step, at most once a second.

        Args:
            number: of the step, over the whole run.
            loss: of the step.
            rate: the learning rate.
            clips: in the step.
            watch: of this epoch.
        """
        self.clips += clips
        now = time.monotonic()
        if now - self.told < STEP_SECONDS:
            return
        waiting = watch.waited / max(time.perf_counter() - watch.started, 1e-9)
        speed = self.clips / (now - self.told)
        values = {"loss": loss, "rate": rate, "clips_per_second": speed, "waiting": waiting}
        self._all(lambda one: one.tell(number, {f"step/{name}": value for name, value in values.items()}))
        self.told, self.clips = now, 0

    def epoch(self, number: int, row: Mapping[str, Any]) -> None:
        """Tell of the metrics of an epoch; `number` is that of its last step."""
        values = {f"epoch/{name}": float(v) for name, v in row.items() if isinstance(v, int | float)}
        self._all(lambda one: one.tell(number, values))

    def close(self, finished: bool) -> None:
        """Let all of them write what is left."""
        self._all(lambda one: one.close(finished))

    def _all(self, work: Callable[[Tracker], None]) -> None:
        for name, tracker in list(self.trackers.items()):
            try:
                work(tracker)
            except Exception as error:  # whatever it is, it must not end the run
                _left_away(name, error)
                del self.trackers[name]


@contextmanager
def tracking(
    recipe: AnyRecipe, folder: RunFolder | None, settings: Settings, first: int
) -> Generator[Tracks, None, None]:
    """Trackers for as long as a run goes; TensorBoard and curves if it has a folder.

    Args:
        recipe: of the run.
        folder: of the run.
        settings: `trackers`, and whether the run may go on.
        first: steps that were done before.
    """
    tracks = Tracks(_opened(recipe, folder, settings, first))
    finished = False
    try:
        yield tracks
        finished = True
    finally:
        tracks.close(finished)


def require(trackers: Iterable[str]) -> None:
    """Make sure that trackers that were asked for are installed.

    Raises:
        ConfigError: one is not.

    Example:
        >>> require(["no-such-tracker"])
        Traceback (most recent call last):
        earmark.config.ConfigError: trackers names 'no-such-tracker', which is not installed; ...
    """
    for name in trackers:
        if find_spec(name) is None:
            raise ConfigError(
                f"trackers names {name!r}, which is not installed; `pip install {name}`, or leave it away"
            )


def _opened(
    recipe: AnyRecipe, folder: RunFolder | None, settings: Settings, first: int
) -> dict[str, Tracker]:
    found: dict[str, Tracker] = {}
    if folder is not None:
        have = [name for name in ("tensorboard", "matplotlib") if find_spec(name)]
        if "tensorboard" in have:
            found["TensorBoard"] = TensorBoard(folder, first)
        if "matplotlib" in have:
            found["curves.png"] = Curves(folder)
        if len(have) < 2:
            log.warning(
                'no TensorBoard or curves.png for this run; `pip install "earmark[train]"` brings them'
            )
    known = _known(folder) if settings.resume else {}
    for name in settings.trackers:
        try:
            tracker = (WandB if name == "wandb" else MLflow)(recipe, folder, known.get(name))
            known[name] = tracker.id
            if folder is not None:
                folder.write("trackers.json", json.dumps(known))
        except Exception as error:  # no login, no network: the run goes on
            _left_away(name, error)
            continue
        found[name] = tracker
    return found


def _known(folder: RunFolder | None) -> dict[str, str]:
    """The numbers that a run has at its trackers."""
    path = folder.path / "trackers.json" if folder else None
    return json.loads(path.read_text(encoding="utf-8")) if path and path.exists() else {}


def _left_away(name: str, error: Exception) -> None:
    log.warning("%s failed and is left away; the run goes on (%s: %s)", name, type(error).__name__, error)
