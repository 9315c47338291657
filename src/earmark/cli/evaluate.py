"""`earmark evaluate`: how good is a model, or are several together."""

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.table import Table

from earmark.cli.words import Assignments, set_threads, tell

if TYPE_CHECKING:
    from earmark.evaluation.assessment import Aims
    from earmark.evaluation.held_out import HeldOut
    from earmark.evaluation.predictions import Predictions
    from earmark.evaluation.report import Report

MOST_ROWS = 60
"""More classes than these are printed by the best and the worst only."""


def evaluate(
    *models: str,
    data: Path | None = None,
    corpus: str | None = None,
    fold: int | None = None,
    split: Literal["test", "validation", "train"] = "test",
    out: Path | None = None,
    set_: Assignments = None,
    device: str = "cpu",
    threads: int | None = None,
) -> int:
    """Tag held-out clips of a corpus with a model and count.

    Several models are counted one by one and together, by the mean of their logits.  With --out FOLDER come
    tables, plots, intervals, calibration, predictions, and thresholds for `earmark tag --threshold FOLDER`.

    Args:
        models: a name, a checkpoint file, a run folder, or predictions (.npz, .parquet) that were written
            before; or several of them.
        data: folder or table of the corpus; not needed for stored predictions.
        corpus: its name, such as esc50; not needed where the data tell it.
        fold: the held-out fold; by default the one that the model's own recipe held out, or all where the
            model has other labels than the corpus and so never saw it.
        split: the part of the corpus that is counted.
        out: a folder for the full report; or a .json for numbers, a .npz or .parquet for predictions alone.
        set_: rarer wishes for the full report, such as --set resamples=200 (of the bootstrap; 0 for none),
            --set seed=1, or --set precision=0.9: thresholds for the largest recall at this precision, not for
            the largest F1; may be given several times.
        device: where the models compute, such as cuda.
        threads: processor threads; PyTorch's default if not given.
    """
    from earmark.config import ConfigError, override
    from earmark.evaluation.assessment import Aims
    from earmark.evaluation.held_out import hold_out
    from earmark.evaluation.stored import is_predictions

    if not models:
        raise ConfigError("name a model, a run folder or stored predictions to evaluate")
    set_threads(threads)
    aims = override(Aims(), set_ or [])
    computed = [model for model in models if not is_predictions(model)]
    if computed and data is None:
        raise ConfigError("evaluating a model needs --data, the folder or table of the corpus")
    held = hold_out(computed, data, corpus, fold, split) if computed and data is not None else None
    return counted([spoken(model, held, device) for model in models], out, aims)


def spoken(model: str, held: "HeldOut | None", device: str) -> "tuple[Predictions, Predictions | None]":
    """What a model, or a file of predictions, says of the clips; and of validation clips, if there are any.

    Raises:
        ConfigError: the model cannot tag.
    """
    from earmark import __version__
    from earmark.config import ConfigError
    from earmark.evaluation.predictions import predict
    from earmark.evaluation.stored import is_predictions, read_predictions
    from earmark.inference.placing import place
    from earmark.inference.settings import Run
    from earmark.models import load

    if held is None or is_predictions(model):
        return read_predictions(Path(model)), None
    tagger = place(load(model), device)
    if not tagger.has_head:
        raise ConfigError(f"{model} has no head and gives embeddings only; try `earmark probe`")
    about = {"model": model, **held.about, "earmark": __version__}
    clips, others = held.clips(), held.clips("validation") if held.part == "test" else []
    with watching(len(clips) + len(others)) as step:
        found = predict(tagger, clips, held.labels, Run(), about, step)
        return found, predict(tagger, others, held.labels, Run(), about, step) if others else None


def counted(members: "list[tuple[Predictions, Predictions | None]]", out: Path | None, aims: "Aims") -> int:
    """Count what models say, alone and together; print it and write it."""
    from earmark.evaluation.assessment import defined
    from earmark.evaluation.folds import cumulative, headlines
    from earmark.evaluation.report import report_of
    from earmark.evaluation.together import averaged

    alone = [predictions for predictions, _ in members]
    others = [validation for _, validation in members if validation is not None]
    whole, validation = alone[0], others[0] if others else None
    more: dict[str, Any] = {}
    if len(members) > 1:
        whole = averaged(alone)
        validation = averaged(others) if len(others) == len(members) else None
        more["members"] = [{"about": one.about, **headlines(one)} for one in alone]
        more["cumulative"] = {rule: cumulative(alone, rule) for rule in ("logits", "probabilities")}
        print_members(more)
    report = report_of(whole)
    print_report(report)
    if out is not None:
        write(whole, validation, out, aims, defined(more))
    return 1 if report.failed else 0


def write(
    whole: "Predictions", validation: "Predictions | None", out: Path, aims: "Aims", more: dict[str, Any]
) -> None:
    """What the suffix of `out` says: numbers, predictions, or a folder with everything."""
    from earmark.audio import displayable
    from earmark.evaluation.assessment import assess, report_tree
    from earmark.evaluation.folder import write_folder, write_text
    from earmark.evaluation.report import report_of
    from earmark.evaluation.stored import is_predictions, write_predictions

    if is_predictions(out.name):
        write_predictions(whole, out)
    elif out.suffix.lower() == ".json":
        tree = report_tree(report_of(whole)) | {"about": whole.about} | more
        write_text(out, json.dumps(tree, indent=1, ensure_ascii=False))
    else:
        found = assess(whole, validation, aims)
        for sentence in write_folder(found, out, more):
            tell(sentence)
        console = plain_console()
        for sentence in found.notes:
            console.print(sentence, soft_wrap=True)
        console.print(f"The full report is in {displayable(out)}.", soft_wrap=True)


def print_report(report: "Report") -> None:
    """A table by class and the totals below."""
    rows = report.classes
    if len(rows) > MOST_ROWS:
        ranked = sorted((row for row in rows if row.ap == row.ap), key=lambda row: -row.ap)
        rows = ranked[: MOST_ROWS // 6] + ranked[-MOST_ROWS // 6 :]
    table = Table("label", "clips", "found", "AP")
    for row in rows:
        table.add_row(row.label, str(row.clips), f"{row.found:.3f}", f"{row.ap:.3f}")
    console = plain_console()
    console.print(table)
    if rows is not report.classes:
        console.print(f"these are the best and the worst of {len(report.classes)} classes")
    for sentence in report.failed:
        console.print(f"failed: {sentence}")
    found = report.metrics
    console.print(
        f"{report.clips} clips, {len(report.failed)} failed: top-1 {report.top1:.4f} among all labels, "
        f"{report.top1_within:.4f} among the corpus's; mAP {report.mean_ap:.4f}",
        soft_wrap=True,
    )
    console.print(
        f"AUC {found['auc']:.4f}, d' {found['d_prime']:.3f}, lwlrap {found['lwlrap']:.4f}, "
        f"macro F1 {found['f1_macro']:.4f}",
        soft_wrap=True,
    )
    if report.without_clips:
        n = len(report.without_clips)
        console.print(f"{n} of {len(report.classes)} classes have no clip here; means leave them out")


def print_members(more: dict[str, Any]) -> None:
    """Each model alone, and what the first of them give together."""
    from earmark.evaluation.folds import HEADLINES

    console = plain_console()

    def told(name: str, numbers: dict[str, Any]) -> None:
        words = ", ".join(f"{metric} {numbers[metric]:.4f}" for metric in HEADLINES)
        console.print(f"{name}: {words}", soft_wrap=True)

    for number, member in enumerate(more["members"], start=1):
        told(str(member["about"].get("model", f"model {number}")), member)
    for rule, steps in more["cumulative"].items():
        for count, step in enumerate(steps[1:], start=2):
            told(f"mean of {count}, {rule}", step)


def plain_console() -> Console:
    """Standard output, on which names are never taken for markup."""
    return Console(markup=False, highlight=False, emoji=False)


@contextmanager
def watching(n_clips: int) -> Generator[Callable[[float], None], None, None]:
    """A bar on a terminal; gives what is to be told the seconds of each clip."""
    from earmark.cli.terminal import Watch

    with Watch() as watch:
        watch.expect(lambda: n_clips)
        yield watch.step
