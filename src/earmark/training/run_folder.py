"""A run folder: what a run writes, and how one that was stopped is found again."""

import fcntl
import importlib.metadata
import json
import logging
import os
import platform
import shlex
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from earmark import __version__
from earmark.config import ConfigError
from earmark.evaluation.assessment import defined
from earmark.files import commit
from earmark.models import CheckpointError, Tagger, save
from earmark.storage import made_folder
from earmark.training.learning import AnyRecipe
from earmark.training.state import State, read_state, write_state

log = logging.getLogger(__name__)

KEPT_STATES = 2
RESULT = "model.safetensors"


class RunFolder:
    """A folder that one run has for itself.

    It holds `recipe.json`, `environment.json`, `metrics.jsonl`, `tensorboard/` and `curves.png` (and
    `trackers.json`, if it is known elsewhere, too), `state/` to go on from, and models that
    `earmark tag --model FOLDER` reads: `model.safetensors` when the run is finished, averaged if the
    recipe averages; `last.safetensors`, the weights of the newest state or of the end; and
    `best.safetensors`, if there are clips for validation.
    """

    def __init__(self, path: Path, recipe: AnyRecipe) -> None:
        self.path = path
        self.recipe = recipe

    @property
    def is_finished(self) -> bool:
        """Whether the run came to its end."""
        return (self.path / RESULT).exists()

    def newest(self) -> State | None:
        """The newest state that can be read, or None; damaged ones are passed over with a warning.

        Raises:
            ConfigError: the state is of another recipe; the sentence says where they differ.
        """
        for path in sorted((self.path / "state").glob("*.safetensors"), reverse=True):
            try:
                state = read_state(path)
            except CheckpointError as error:
                log.warning("%s; going on from an older state", error)
                continue
            self._check_recipe(json.loads(state.recipe))
            return state
        return None

    def keep(self, state: State, step: int) -> None:
        """Write a state and remove all but the newest two.

        Raises:
            OSError: no room, or no permission; older states stay.
        """
        folder = self.path / "state"
        folder.mkdir(exist_ok=True)
        write_state(state, folder / f"{step:09d}.safetensors")
        for old in sorted(folder.glob("*.safetensors"))[:-KEPT_STATES]:
            old.unlink(missing_ok=True)

    def export(self, model: Tagger, name: str, epochs: int) -> None:
        """Write a model as a checkpoint that describes itself.

        Raises:
            CheckpointError: a weight is not finite; nothing is written.
            OSError: no room, or no permission; a model of that name stays.
        """
        dtype = torch.float16 if self.recipe.weights == "fp16" else torch.float32
        save(model, self.path / name, provenance(self.recipe, epochs), dtype)

    def record(self, row: dict[str, Any]) -> None:
        """Append the metrics of an epoch, with null for what is NaN or infinite: JSON has neither."""
        with (self.path / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(defined(row)) + "\n")

    def rows(self) -> list[dict[str, Any]]:
        """The metrics so far, without a line that was cut off."""
        rows: list[dict[str, Any]] = []
        file = self.path / "metrics.jsonl"
        for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else ():
            try:
                rows.append(json.loads(line))
            except ValueError:
                break
        return rows

    def forget_after(self, epochs: int) -> None:
        """Drop the metrics of epochs that will be computed again."""
        kept = [row for row in self.rows() if row["epoch"] <= epochs]
        self.write("metrics.jsonl", "".join(json.dumps(row) + "\n" for row in kept))

    def write(self, name: str, text: str) -> None:
        """Write a text into the folder, atomically."""
        with commit(self.path / name) as file:
            file.write(text.encode())

    def check_finished(self) -> None:
        """Make sure that a run that came to its end is the one that is meant.

        Raises:
            ConfigError: it is of another recipe; the sentence says where they differ.
        """
        try:
            other = json.loads((self.path / "recipe.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return  # its model says what it is
        self._check_recipe(other)

    def _check_recipe(self, other: Any) -> None:
        changed = sorted(_differences(self.recipe.to_dict(), other))
        if changed:
            raise ConfigError(
                f"{self.path} holds a run of another recipe; they differ in {', '.join(changed[:5])}: "
                "resume with the recipe that it was begun with, or choose another folder"
            )


@contextmanager
def run_folder(folder: RunFolder, resume: bool) -> Generator[None, None, None]:
    """Make or reopen a run folder, and hold it against a second trainer.

    Args:
        folder: which one.
        resume: whether a run that it holds is to go on.

    Raises:
        ConfigError: another trainer works there; or it holds a run and `resume` is not set.
        OSError: it cannot be written to.
    """
    path = made_folder(folder.path)
    with (path / ".lock").open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ConfigError(
                f"another trainer works in {path}; wait for it, or choose another folder"
            ) from None
        if not resume:
            _refuse_used(folder)
        if folder.is_finished:
            folder.check_finished()
        else:
            folder.newest()  # a state of another recipe is told before anything is written
            folder.write("recipe.json", json.dumps(folder.recipe.to_dict(), indent=2))
            folder.write("environment.json", json.dumps(environment(), indent=2))
        yield


def provenance(recipe: AnyRecipe, epochs: int) -> dict[str, Any]:
    """What a checkpoint says of the run that made it; the model describes itself already."""
    tree = recipe.to_dict()
    del tree["model"]
    return {"earmark": __version__, "license": tree.pop("license"), "recipe": tree, "epochs": epochs}


def environment() -> dict[str, Any]:
    """The command and the machine of a run, for its folder; never a part of what it computes."""
    packages = ("torch", "numpy", "soundfile", "soxr", "safetensors", "pydantic")
    return {
        "command": shlex.join(sys.argv),
        "folder": str(Path.cwd()),
        "earmark": __version__,
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in packages},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "processes": int(os.environ.get("WORLD_SIZE", "1")),
    }


def _refuse_used(folder: RunFolder) -> None:
    if folder.is_finished:
        raise ConfigError(f"{folder.path} already holds a finished run; choose another folder, or remove it")
    states = sorted((folder.path / "state").glob("*.safetensors"))
    if states:
        raise ConfigError(
            f"{folder.path} holds an unfinished run, at step {int(states[-1].stem)}; go on with it by "
            "--resume, or choose another folder"
        )
    (folder.path / "metrics.jsonl").unlink(missing_ok=True)  # of a run that never came to its first state


def _differences(ours: Any, theirs: Any, place: str = "") -> list[str]:
    """The dotted names of the fields in which two trees differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            found
            for name in sorted(ours.keys() | theirs.keys())
            for found in _differences(ours.get(name), theirs.get(name), f"{place}.{name}".lstrip("."))
        ]
    return [] if ours == theirs else [place]
