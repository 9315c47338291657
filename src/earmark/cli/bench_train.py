"""`earmark bench-train`: how fast a recipe trains on this machine; no data are needed."""

import json
from typing import Annotated, Any

from cyclopts import Parameter

from earmark.cli.words import Assignments, set_threads


def bench_train(
    recipe: str,
    /,
    *,
    steps: int = 20,
    set_: Assignments = None,
    device: str = "cpu",
    threads: int | None = None,
    run: Annotated[list[str] | None, Parameter(name="--with")] = None,
    json_: bool = False,
) -> int:
    """Time full training steps on made-up clips.

    Args:
        recipe: a name that `earmark recipes` lists, or a recipe.json.
        steps: how many are timed.
        set_: changes of the recipe, such as --set batch_size=8 or --set precision=bf16.
        device: cpu, cuda or cuda:N.
        threads: processor threads; PyTorch's default if not given.
        run: settings of where it runs, such as --with compile=true or --with micro_batch=4.
        json_: one JSON object, for programs.
    """
    from rich.console import Console

    from earmark.cli.choosing import find_recipe
    from earmark.config import ConfigError, override
    from earmark.training import Settings
    from earmark.training.speed import measure_speed

    if not 1 <= steps <= 1_000_000:
        raise ConfigError(f"--steps is {steps}; at least one step is timed")
    set_threads(threads)
    found = measure_speed(
        find_recipe(recipe, set_ or []), override(Settings(device=device), run or []), steps
    )
    out = Console(markup=False, highlight=False, emoji=False).out
    out(json.dumps(found._asdict(), indent=1) if json_ else _words(found), highlight=False)
    return 0


def _words(found: Any) -> str:
    shares = ", ".join(f"{name} {share:.1%}" for name, share in found.shares.items() if share >= 0.0005)
    compiled = ", compiled" if found.compiled else ""
    return "\n".join(
        [
            f"{found.clips_per_second:.2f} clips of {found.clip_seconds:g} s a second: steps of "
            f"{found.batch_size} clips take {found.step_seconds:.3f} s (median of {found.steps}, the longest "
            f"{found.slowest_seconds:.3f} s)",
            f"of a step: {shares}",
            f"at most {found.peak_bytes / 1e9:.2f} GB; {found.parameters:,} parameters; {found.precision} on "
            f"{found.device}, {found.threads} threads{compiled}",
        ]
    )
