"""`earmark train`: run a recipe."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from earmark.cli.words import Assignments, Flag, Stopped, set_threads, tell


def train(
    recipe: str | None = None,
    /,
    *,
    data: Path,
    out: Path | None = None,
    from_: Annotated[str | None, Parameter(name="--from")] = None,
    set_: Assignments = None,
    resume: Annotated[bool, Flag] = False,
    dry_run: Annotated[bool, Flag] = False,
    device: str = "cpu",
    workers: int = 0,
    cache: Path | None = None,
    max_errors: float = 0.05,
    threads: int | None = None,
    run: Annotated[list[str] | None, Parameter(name="--with")] = None,
) -> int:
    """Train a model: by a named recipe, or from a known model on your own clips.

    A run can be killed at any moment; the same command with --resume goes on with it, to the bit.  Under
    `torchrun` several processes share each batch.

    Args:
        recipe: a name that `earmark recipes` lists, or a recipe.json; left away with --from.
        data: folder of the corpus; or with --from a table (csv, tsv, jsonl, parquet), a folder of classes
            or a pack.
        out: run folder to make; `earmark tag --model OUT` reads it at once.
        from_: fine-tune this model, by name or file, with settings chosen from the size of the data.
        set_: changes of the recipe, such as --set corpus.fold=2; may be given several times.
        resume: go on with the run in --out, if there is one.
        dry_run: print the recipe, the size of the model, steps and memory, and do nothing.
        device: cpu, cuda or cuda:N.
        workers: processes that read and decode clips ahead of the training one.
        cache: folder for decoded clips; the user's cache folder if not given.
        max_errors: share of the clips that may fail to decode.
        threads: processor threads; PyTorch's default if not given.
        run: rarer settings of where it runs, such as --with save_steps=100 or --with micro_batch=8.
    """
    from earmark.cli.choosing import chosen_recipe
    from earmark.config import override
    from earmark.training import Settings
    from earmark.training import train as learn

    set_threads(threads)
    chosen, root = chosen_recipe(recipe, from_, data, set_ or [])
    given = Settings(
        resume=resume, device=device, workers=workers, cache=cache or "auto", max_errors=max_errors
    )
    settings = override(given, run or [])
    if dry_run:
        return show_plan(chosen, root, settings)
    return carry_out(learn, (chosen, root, out, settings), print_epoch)


def carry_out(learn: Any, what: tuple[Any, Path, Path | None, Any], report: Any) -> int:
    """Run a recipe, and end as a command does when it is stopped.

    Args:
        learn: `train`, or another that takes the same.
        what: recipe, data, run folder and settings.
        report: takes the metrics of each epoch.
    """
    from earmark.config import ConfigError
    from earmark.training import StoppedError

    if what[2] is None:
        raise ConfigError("training needs --out, a folder for the run")
    try:
        learn(*what, report=report)
    except StoppedError as stopped:
        tell(str(stopped))
        raise Stopped(stopped.signal) from None
    return 0


def show_plan(recipe: Any, root: Path, settings: Any) -> int:
    """Print what a run would be."""
    from earmark.training.planning import plan

    sys.stdout.write(f"{plan(recipe, recipe.corpus.read(root), settings)}\n")
    return 0


def print_epoch(metrics: dict[str, Any]) -> None:
    """One line on stderr for each epoch."""
    measured = "".join(f"  {name} {value:.4f}" for name, value in metrics.items() if name.startswith("val_"))
    sys.stderr.write(
        f"epoch {metrics['epoch']:4d}  loss {metrics['loss']:.4f}  rate {metrics['lr']:.2e}  "
        f"{metrics['clips_per_second']:.1f} clips/s  waiting {metrics['waiting']:.0%}{measured}"
        f"{_failed(metrics)}\n"
    )


def _failed(metrics: dict[str, Any]) -> str:
    """How many clips were replaced or left out.

    Example:
        >>> _failed({"failed_clips": 2, "failed_validation_clips": 1.0}), _failed({"failed_clips": 0})
        ('  cannot be decoded: 2 replaced, 1 of validation left out', '')
    """
    replaced, left_out = metrics["failed_clips"], metrics.get("failed_validation_clips", 0)
    told = [f"{replaced} replaced"] * bool(replaced) + [f"{left_out:.0f} of validation left out"] * bool(
        left_out
    )
    return f"  cannot be decoded: {', '.join(told)}" if told else ""
