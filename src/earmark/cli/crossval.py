"""`earmark crossval`: how good is a recipe, or are several together, over all folds of their corpus."""

import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from earmark.cli.words import Assignments, Stopped, set_threads, tell
from earmark.storage import made_folder

if TYPE_CHECKING:
    from earmark.evaluation.predictions import Predictions

RESULT = "model.safetensors"
PREDICTIONS = "predictions.npz"


def crossval(
    *recipes: str,
    data: Path,
    out: Path,
    folds: Annotated[list[int] | None, Parameter(consume_multiple=True)] = None,
    set_: Assignments = None,
    device: str = "cpu",
    threads: int | None = None,
) -> int:
    """Train recipes once for each held-out fold and report mean and deviation.

    Several recipes are trained one by one and counted together, by the mean of their logits, and each alone
    beside it.  It can be killed at any moment: the same command goes on where it was, and finished folds are
    not trained again.

    Args:
        recipes: a name that `earmark recipes` lists, or a recipe.json; or several of them, of one corpus.
        data: folder or table of the corpus.
        out: folder for one run folder each fold (of several recipes in a folder each), crossval.json and
            crossval.md.
        folds: which folds are held out, such as --folds 1 2; all official ones if not given.
        set_: changes of each recipe, such as --set seed=1; may be given several times.
        device: where it is trained, such as cuda.
        threads: processor threads; PyTorch's default if not given.
    """
    from earmark.cli.evaluate import plain_console
    from earmark.evaluation.crossvalidation import Member, mean_cpu_seconds, summary, write_summary

    set_threads(threads)
    chosen, root = _chosen(recipes, data, set_ or [])
    wanted = _wanted(next(iter(chosen.values())).corpus, folds)
    console = plain_console()
    members = {name: Member(recipe.to_dict(), {}, {}) for name, recipe in chosen.items()}
    for fold in wanted:
        for name, recipe in chosen.items():
            held_out = recipe.replace(corpus=recipe.corpus.replace(fold=fold))
            folder = (out / name if len(chosen) > 1 else out) / f"fold-{fold}"
            members[name].predictions[fold] = _predicted(held_out, root, folder, device)
            members[name].histories[fold] = _history(folder)
        console.print(_told(fold, [one.predictions[fold] for one in members.values()]), soft_wrap=True)
    told = summary(members)
    write_summary(told, out)
    mean, deviation = told["metrics"]["accuracy"]
    console.print(f"mean top-1 {mean:.4f}, standard deviation over folds {deviation:.4f}")
    seconds = mean_cpu_seconds(told)
    if seconds is not None:
        console.print(f"training took {seconds / 60:.1f} processor minutes a fold")
    console.print(
        f"mean mAP {told['metrics']['map'][0]:.4f}; all metrics in {out / 'crossval.md'}", soft_wrap=True
    )
    return 1 if told["failed"] else 0


def _chosen(names: Sequence[str], data: Path, assignments: Sequence[str]) -> tuple[dict[str, Any], Path]:
    """The recipes by the name of their folder, and where their corpus lies.

    Raises:
        ConfigError: there are none, two of one name, or they do not hold out the same clips.
    """
    from earmark.cli.choosing import chosen_recipe
    from earmark.config import ConfigError

    if not names:
        raise ConfigError("name a recipe to go over the folds with; `earmark recipes` lists them")
    found: dict[str, Any] = {}
    root = data
    for given in names:
        recipe, root = chosen_recipe(given, None, data, assignments)
        name, first = _folder_name(given), next(iter(found.items()), None)
        if name in found:
            raise ConfigError(
                f"two recipes are called {name!r}; each has a folder of its name in --out, so rename one"
            )
        if first is not None and _clips_of(recipe) != _clips_of(first[1]):
            raise ConfigError(
                f"{name} learns from {_clips_of(recipe)} but {first[0]} from {_clips_of(first[1])}; "
                "only models that hold out the same clips can be averaged"
            )
        found[name] = recipe
    return found, root


def _folder_name(given: str) -> str:
    """What a recipe is called: its known name, the name of its file, or that of the run folder that it is in.

    Example:
        >>> [_folder_name(given) for given in ("esc10-cnn", "a/mine.json", "runs/a/recipe.json")]
        ['esc10-cnn', 'mine', 'a']
    """
    path = Path(given)
    if path.is_dir():
        return path.resolve().name
    if path.name == "recipe.json":
        return path.resolve().parent.name
    return path.stem if path.suffix == ".json" else given


def _clips_of(recipe: Any) -> dict[str, Any]:
    """The corpus of a recipe but for the fold."""
    return {name: value for name, value in recipe.corpus.to_dict().items() if name != "fold"}


def _told(fold: int, members: "Sequence[Predictions]") -> str:
    """A line for a fold."""
    from earmark.evaluation.folds import headlines
    from earmark.evaluation.together import averaged

    whole = averaged(members) if len(members) > 1 else members[0]
    numbers = headlines(whole)
    line = (
        f"fold {fold}: top-1 {numbers['accuracy']:.4f} on {len(whole.names)} clips, mAP {numbers['map']:.4f}"
    )
    if len(members) == 1:
        return line
    return f"{line}; alone {', '.join(format(headlines(one)['accuracy'], '.4f') for one in members)}"


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
    from earmark.inference.placing import place
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
    made_folder(folder.parent)
    try:
        return train(recipe, data, folder, Settings(resume=folder.exists(), device=device, cache="auto"))
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
