"""`earmark pretrain`: learn from sound without labels."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from earmark.cli.words import Assignments, Flag, set_threads

SHOWN = ("perplexity", "ce_share", "explained")


def pretrain(
    recipe: str,
    /,
    *,
    data: Path,
    out: Path | None = None,
    resume: Annotated[bool, Flag] = False,
    set_: Assignments = None,
    device: str = "cpu",
    workers: int = 0,
    max_errors: float = 0.05,
    cache: Path | None = None,
    dry_run: Annotated[bool, Flag] = False,
    threads: int | None = None,
    run: Annotated[list[str] | None, Parameter(name="--with")] = None,
) -> int:
    """Pretrain a model on sound without labels: on all that lies in a folder, or on a corpus.

    Each epoch tells of how many clusters are in use at each location (perplexity) and of how badly they are
    guessed (1: by chance); or of how much is explained of what hidden patches hold (1: all).  A run whose
    features collapse ends with a sentence.

    Args:
        recipe: a name that `earmark recipes` lists, or a recipe.json.
        data: folder of sounds, with folders in it; or of the corpus that --set corpus=NAME says.
        out: run folder to make; `earmark embed --model OUT` and `earmark train --from OUT` read it at once.
        resume: go on with the run in --out, if there is one.
        set_: changes of the recipe, such as --set corpus=esc10 --set corpus.fold=2, whose fold is left out.
        device: cpu, cuda or cuda:N.
        workers: processes that read and decode clips ahead of the training one.
        max_errors: share of the clips that may fail to decode.
        cache: folder for decoded clips; the user's cache folder if not given.
        dry_run: print the recipe, the size of the model and the steps, and do nothing.
        threads: processor threads; PyTorch's default if not given.
        run: rarer settings of where it runs, such as --with save_steps=100 or --with micro_batch=8.
    """
    from earmark.cli.choosing import find_pretraining, of_data
    from earmark.cli.train import carry_out, show_plan
    from earmark.config import override
    from earmark.training import Settings
    from earmark.training.pretraining.front_door import pretrain as learn

    set_threads(threads)
    chosen, root = of_data(find_pretraining(recipe, set_ or []), data)
    settings = override(
        Settings(resume=resume, device=device, workers=workers, cache=cache or "auto", max_errors=max_errors),
        run or [],
    )
    if dry_run:
        return show_plan(chosen, root, settings)
    return carry_out(learn, (chosen, root, out, settings), print_health)


def print_health(metrics: dict[str, Any]) -> None:
    """One line on stderr for each epoch."""
    measured = "".join(f"  {name} {value:.2f}" for name, value in metrics.items() if name.startswith(SHOWN))
    sys.stderr.write(
        f"epoch {metrics['epoch']:4d}  loss {metrics['loss']:.4f}{measured}  "
        f"{metrics['clips_per_second']:.1f} clips/s  waiting {metrics['waiting']:.0%}\n"
    )
