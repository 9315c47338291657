"""Those that are told of a run while it goes: TensorBoard, curves, Weights & Biases, MLflow."""

import os
import time
from collections.abc import Generator, Mapping
from importlib import import_module
from typing import Any, Protocol, runtime_checkable

from earmark.evaluation.plots import keep
from earmark.training.learning import AnyRecipe
from earmark.training.run_folder import RunFolder
from earmark.training.telling.plots import curves

CURVES_SECONDS = 60.0
"""Between two pictures of the curves, at least; the last is drawn at the end."""

PROJECT = "earmark"
PARAMETERS = 100
"""MLflow takes so many in a request."""

Values = Mapping[str, float]


@runtime_checkable
class Tracker(Protocol):
    """One that is told of a run."""

    def tell(self, number: int, values: Values) -> None:
        """Take some numbers.

        Args:
            number: of the step, over the whole run.
            values: by name, such as `step/loss` and `epoch/val_map`.
        """
        ...

    def close(self, finished: bool) -> None:
        """Write what is left; `finished` is whether the run came to its end."""
        ...


class TensorBoard:
    """Event files in the run folder's `tensorboard`.

    Args:
        folder: of the run.
        first: the step that the run goes on behind; what a killed run wrote of later ones is not shown.
    """

    def __init__(self, folder: RunFolder, first: int) -> None:
        self.path, self.first = folder.path / "tensorboard", first
        self.writer: Any = None

    def tell(self, number: int, values: Values) -> None:
        """Write some numbers.

        The writer has a thread of its own, so it begins when the processes that read clips are there.
        """
        if self.writer is None:
            board = import_module("torch.utils.tensorboard")
            self.writer = board.SummaryWriter(str(self.path), purge_step=self.first + 1, flush_secs=30)
        for name, value in values.items():
            self.writer.add_scalar(name, value, number)

    def close(self, finished: bool) -> None:
        """Write what is left."""
        if self.writer is not None:
            self.writer.close()


class Curves:
    """`curves.png` in the run folder, drawn from its `metrics.jsonl`.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.drawn = time.monotonic()

    def tell(self, number: int, values: Values) -> None:
        """Draw, if it is time."""
        if time.monotonic() - self.drawn > CURVES_SECONDS:
            self.close(finished=False)

    def close(self, finished: bool) -> None:
        """Draw."""
        rows = self.folder.rows()
        if rows:
            keep(curves(rows), self.folder.path / "curves.png")
        self.drawn = time.monotonic()


class WandB:
    """A run at Weights & Biases, by its own package, login and environment variables.

    Args:
        recipe: shown beside the run.
        folder: gives the name, and keeps the files; None for the package's own ways.
        known: its number, if it goes on.
    """

    def __init__(self, recipe: AnyRecipe, folder: RunFolder | None, known: str | None) -> None:
        self.run: Any = import_module("wandb").init(
            project=os.environ.get("WANDB_PROJECT", PROJECT),
            name=folder.path.name if folder else None,
            dir=str(folder.path) if folder else None,
            id=known,
            resume="allow",
            config=recipe.to_dict(),
        )
        self.id = str(self.run.id)
        self.next = int(self.run.step)

    def tell(self, number: int, values: Values) -> None:
        """Send some numbers, but for those that were sent before the run was stopped."""
        if number >= self.next:
            self.run.log(dict(values), step=number)

    def close(self, finished: bool) -> None:
        """Send what is left."""
        self.run.finish(exit_code=0 if finished else 1)


class MLflow:
    """A run of MLflow's, where its environment variables say.

    Args:
        recipe: its numbers and words become parameters of the run.
        folder: gives the name.
        known: its number, if it goes on.
    """

    def __init__(self, recipe: AnyRecipe, folder: RunFolder | None, known: str | None) -> None:
        mlflow = import_module("mlflow")
        self.entities: Any = import_module("mlflow.entities")
        self.client: Any = mlflow.MlflowClient()
        self.sent: dict[str, int] = {}
        if known is None:
            experiment = self._experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT))
            known = self.client.create_run(
                experiment, run_name=folder.path.name if folder else None
            ).info.run_id
            self._describe(str(known), recipe)
        else:
            self.client.update_run(known, status="RUNNING")
            for name in self.client.get_run(known).data.metrics:
                self.sent[name] = max(one.step for one in self.client.get_metric_history(known, name))
        self.id = str(known)

    def tell(self, number: int, values: Values) -> None:
        """Send some numbers, but for those that were sent before the run was stopped."""
        now = int(time.time() * 1000)
        new = [
            self.entities.Metric(name, value, now, number)
            for name, value in values.items()
            if number > self.sent.get(name, -1)
        ]
        if new:
            self.client.log_batch(self.id, metrics=new)

    def close(self, finished: bool) -> None:
        """Say how the run ended."""
        self.client.set_terminated(self.id, "FINISHED" if finished else "KILLED")

    def _experiment(self, name: str) -> str:
        found = self.client.get_experiment_by_name(name)
        return found.experiment_id if found else self.client.create_experiment(name)

    def _describe(self, run: str, recipe: AnyRecipe) -> None:
        leaves = [self.entities.Param(name, str(value)[:500]) for name, value in _leaves(recipe.to_dict())]
        for start in range(0, len(leaves), PARAMETERS):
            self.client.log_batch(run, params=leaves[start : start + PARAMETERS])


def _leaves(tree: Any, place: str = "") -> Generator[tuple[str, Any], None, None]:
    """The numbers and words of a tree by their dotted names, without lists such as those of labels."""
    if isinstance(tree, dict):
        for name, value in tree.items():
            yield from _leaves(value, f"{place}.{name}".lstrip("."))
    elif isinstance(tree, str | int | float):
        yield place, tree
