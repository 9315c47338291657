"""`earmark crossval`: how good is a recipe, over all folds of its corpus."""

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.cli.words import Assignments, Stopped, set_threads, tell

if TYPE_CHECKING:
    from earmark.evaluation.predictions import Predictions

RESULT = "model.safetensors"
PREDICTIONS = "predictions.npz"


def crossval(
    recipe: str,
    /,
    *,
    data: Path,
    out: Path,
    folds: list[int] | None = None,
    set_: Assignments = None,
    device: str = "cpu",
    threads: int | None = None,
) -> int:
    """Train a recipe once for each held-out fold and report mean and deviation.

    It can be killed at any moment: the same command goes on where it was, and finished folds are not trained
    again.

    Args:
        recipe: a name that `earmark recipes` lists, or a recipe.json.
        data: folder or table of the corpus.
        out: folder for one run folder each fold, crossval.json and crossval.md.
        folds: which folds are held out; all official ones if not given.
        set_: changes of the recipe, such as --set seed=1; may be given several times.
        device: where it is trained, such as cuda.
        threads: processor threads; PyTorch's default if not given.
    """
    from earmark.cli.choosing import chosen_recipe
    from earmark.cli.evaluate import plain_console
    from earmark.evaluation.crossvalidation import summary, write_summary
    from earmark.evaluation.folds import headlines

    set_threads(threads)
    base, root = chosen_recipe(recipe, None, data, set_ or [])
    wanted = _wanted(base.corpus, folds)
    console = plain_console()
    found: dict[int, Any] = {}
    histories: list[list[dict[str, Any]]] = []
    for fold in wanted:
        held_out = base.replace(corpus=base.corpus.replace(fold=fold))
        folder = out / f"fold-{fold}"
        found[fold] = _predicted(held_out, root, folder, device)
        histories.append(_history(folder))
        numbers = headlines(found[fold])
        console.print(
            f"fold {fold}: top-1 {numbers['accuracy']:.4f} on {len(found[fold].names)} clips, mAP "
            f"{numbers['map']:.4f}"
        )
    told: dict[str, Any] = {"name": recipe, "recipe": base.to_dict(), **summary(found, histories)}
    write_summary(told, out)
    mean, deviation = told["metrics"]["accuracy"]
    console.print(f"mean top-1 {mean:.4f}, standard deviation over folds {deviation:.4f}")
    console.print(
        f"mean mAP {told['metrics']['map'][0]:.4f}; all metrics in {out / 'crossval.md'}", soft_wrap=True
    )
    return 1 if told["failed"] else 0


def _wanted(corpus: Any, folds: list[int] | None) -> list[int]:
    """The folds that shall be held out, each once."""
    from earmark.config import ConfigError
    from earmark.evaluation.held_out import all_folds

    known = all_folds(corpus)
    if len(known) < 2:
        raise ConfigError(
            f"{corpus.kind} has no folds here, so there is nothing to go over; train once, with `earmark "
            "train`, and "
            "count with `earmark evaluate`"
        )
    wanted = list(dict.fromkeys(folds or known))
    strange = [fold for fold in wanted if fold not in known]
    if strange:
        raise ConfigError(
            f"there is no fold {strange[0]} to hold out; there are {', '.join(map(str, known))}"
        )
    return wanted


def _predicted(recipe: Any, data: Path, folder: Path, device: str) -> "Predictions":
    """What the model of a fold says of its held-out clips; it is kept for the next start."""
    from earmark.cli.evaluate import watching
    from earmark.config import ConfigError
    from earmark.evaluation.predictions import predict
    from earmark.evaluation.stored import read_predictions, write_predictions
    from earmark.inference.pipeline import place
    from earmark.inference.settings import Run
    from earmark.models import read_header

    model = _trained(recipe, data, folder, device)
    digest = read_header(folder / RESULT).digest
    with suppress(ConfigError):
        stored = read_predictions(folder / PREDICTIONS)
        if stored.about.get("digest") == digest:
            return stored
    split = recipe.corpus.read(data)
    about = {"model": str(folder), "corpus": recipe.corpus.kind, "fold": recipe.corpus.fold, "digest": digest}
    with watching(len(split.test)) as step:
        found = predict(place(model, device), split.test, split.labels, Run(), about, step)
    write_predictions(found, folder / PREDICTIONS)
    return found


def _trained(recipe: Any, data: Path, folder: Path, device: str) -> Any:
    """The finished model of a fold: trained before, now, or from where a killed run stood.

    This is the one place that knows how a training run is started.
    """
    from earmark.config import ConfigError
    from earmark.models import load
    from earmark.training import Settings, StoppedError, train

    if (folder / RESULT).exists():
        if _recipe_of(folder) != recipe.to_dict():
            raise ConfigError(
                f"{folder} holds a finished run of another recipe; give another --out, or remove that folder"
            )
        return load(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    try:
        return train(recipe, data, folder, Settings(resume=folder.exists(), device=device))
    except StoppedError as stopped:
        tell(f"{folder}: stopped; the same command goes on from there")
        raise Stopped(stopped.signal) from None


def _recipe_of(folder: Path) -> Any:
    """The recipe in a run folder as plain values; None where there is none that can be read."""
    with suppress(OSError, ValueError):
        return json.loads((folder / "recipe.json").read_text(encoding="utf-8"))
    return None


def _history(folder: Path) -> list[dict[str, Any]]:
    """The metrics of each epoch of a run."""
    with suppress(OSError, ValueError):
        text = (folder / "metrics.jsonl").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines()]
    return []
