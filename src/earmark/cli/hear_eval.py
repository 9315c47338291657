"""`earmark hear eval`: HEAR's protocol on tasks in the official layout."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from earmark.cli.words import Assignments, set_threads, tell

if TYPE_CHECKING:
    from earmark.evaluation.hear_tasks import HearTask


def eval_(
    module: str,
    /,
    *,
    tasks: Annotated[Path, Parameter(name=("--data", "--tasks"))],
    model: str = "",
    set_: Assignments = None,
    out: Path | None = None,
    cache: Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
    run: Annotated[list[str] | None, Parameter(name="--with")] = None,
) -> int:
    """Say how well a HEAR module's embeddings do on the benchmark's tasks, or on your own of the same layout.

    A small network learns on frozen embeddings, as the benchmark has it.  It can be killed at any moment: the
    same command goes on where it was.  The exit status is 1 if some sounds or tasks cannot be
    heard.

    Args:
        module: of earmark.hear, such as passt_2level or logmel, or any other that can be imported.
        tasks: folder of tasks, or of one; `earmark prepare hear-tasks` makes some.
        model: the file or name of the model that it shall load; its published one if not given.
        set_: what its load_model takes besides, such as --set layer=2 or --set precision=bf16.
        out: folder for hear.json and hear.md.
        cache: folder for embeddings and scores; the user's cache folder if not given.
        device: where it is computed, such as cuda.
        threads: processor threads; PyTorch's default if not given.
        run: numbers of the protocol, such as --with grid_points=2 or --with max_epochs=60 or --with seed=1.
    """
    from earmark.cli.evaluate import plain_console
    from earmark.config import ConfigError, assigned, override
    from earmark.evaluation.hear_tasks import Protocol, find_tasks, listener, read_task
    from earmark.evaluation.hear_tasks.report import page, report, write_report

    set_threads(threads)
    protocol = override(Protocol(), run or [])
    found = find_tasks(tasks)
    who = listener(module, model, dict(map(assigned, set_ or [])), device)
    console = plain_console()
    counted: list[dict[str, Any]] = []
    failed: list[str] = []
    for folder in found:
        try:
            task = read_task(folder)
            counted.append(_counted(task, who, protocol, cache))
        except ConfigError as error:  # the other tasks go on
            failed.append(str(error))
            continue
        failed += [f"{task.title}: {sentence}" for sentence in counted[-1]["failed"]]
        if out is not None:
            write_report(report(who, protocol, counted), out)
    if out is not None:
        write_report(report(who, protocol, counted) | {"failed_tasks": failed}, out)
    if counted:
        console.print(page(report(who, protocol, counted)), soft_wrap=True, end="")
    for sentence in failed:
        tell(sentence)
    return 1 if failed else 0


def _counted(task: "HearTask", who: Any, protocol: Any, cache: Path | None) -> dict[str, Any]:
    """A task, with a bar on a terminal."""
    from earmark.cli.terminal import Watch
    from earmark.evaluation.hear_tasks import evaluate_task
    from earmark.evaluation.hear_tasks.keeping import Kept
    from earmark.models.zoo import cache_folder

    kept = Kept(cache or cache_folder().parent / "hear")
    with Watch() as watch:
        watch.expect(lambda: sum(map(len, task.splits.values())))
        counted = evaluate_task(task, who, protocol, kept, watch.step)
    first, pair = next(iter(counted["metrics"].items()))
    tell(f"{task.title}: {first} {pair['mean']:.4f}")
    return counted
