"""`earmark evaluate`, `earmark crossval`: how good is a model, how good is a recipe."""

import json
import statistics
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from earmark.cli.train import find_recipe, set_threads


def evaluate(
    model: str,
    /,
    *,
    data: Path,
    corpus: str,
    fold: int | None = None,
    probe: bool = False,
    out: Path | None = None,
    threads: int | None = None,
) -> int:
    """Tag held-out clips of a corpus with a model and count.

    Args:
        model: a name, a checkpoint file or a run folder.
        data: folder of the corpus.
        corpus: builtin, esc10 or esc50.
        fold: the held-out fold; by default the one that the model's own recipe held out, or all where the
            model has other labels than the corpus and so never saw it.
        probe: instead of the model's own tags, count those of logistic regression on its frozen embeddings,
            learned anew from the other folds.
        out: also write the report there, as JSON.
        threads: processor threads; PyTorch's default if not given.
    """
    from earmark.config import ConfigError, did_you_mean
    from earmark.data import CORPORA
    from earmark.files import commit
    from earmark.models import load

    if corpus not in CORPORA:
        raise ConfigError(f"no corpus {corpus!r}; " + did_you_mean(corpus, CORPORA, ", ".join(CORPORA) + "?"))
    set_threads(threads)
    own, tagger, chosen = own_fold(model, fold), load(model), CORPORA[corpus]
    if not (probe or tagger.has_head):
        raise ConfigError(f"{model} has no head and gives embeddings only; take --probe")
    if own is None and any(tagger.labels.names == known.labels.names for known in CORPORA.values()):
        raise ConfigError(
            f"{model} has a corpus's own labels and does not say from which folds it learned; "
            "give the one that it never saw with --fold"
        )
    folds = range(1, chosen.n_folds + 1) if own is None else [own]
    splits = {number: chosen.replace(fold=number).read(data) for number in folds}
    tree, failed = probed(tagger, splits) if probe else tagged(tagger, splits)
    if out is not None:
        with commit(out) as file:
            file.write(json.dumps(tree, indent=2).encode())
    return 1 if failed else 0


def tagged(tagger: Any, splits: dict[int, Any]) -> tuple[dict[str, Any], list[str]]:
    """Count the model's own tags on the held-out clips of some folds, and print it."""
    from earmark.evaluation import evaluate as run

    clips = list({clip.path: clip for split in splits.values() for clip in split.test}.values())
    report = run(tagger, clips, next(iter(splits.values())).labels)
    print_report(report)
    return report_tree(report), report.failed


def probed(tagger: Any, splits: dict[int, Any]) -> tuple[dict[str, Any], list[str]]:
    """Count a linear probe on the held-out clips of some folds, and print it."""
    from earmark.evaluation.probe import probe as run

    report = run(tagger, list(splits.values()))
    console = Console()
    for sentence in report.failed:
        console.print(f"failed: {sentence}", markup=False)
    for fold, accuracy in zip(splits, report.accuracies, strict=True):
        console.print(f"fold {fold}: top-1 {accuracy:.4f}")
    console.print(f"{report.clips} clips, {len(report.failed)} failed: mean top-1 {report.mean:.4f}")
    return report._asdict() | {"folds": list(splits)}, report.failed


def own_fold(model: str, asked: int | None) -> int | None:
    """The one fold to count on, or None where neither the model nor the caller names one.

    The corpora at hand share ESC-50's folds, so a model of ours must be counted on the fold that its own
    recipe held out, and a published one on the fold that its authors held out: on any other it would be
    asked what it has learned by heart.

    Raises:
        ConfigError: another fold is asked for.
    """
    from earmark.config import ConfigError
    from earmark.models import CheckpointError, read_header
    from earmark.models.zoo import resolve

    try:
        provenance = read_header(resolve(model)).provenance
    except CheckpointError:  # weights of others say nothing of folds
        provenance = {}
    recipe = provenance.get("recipe")
    corpus = recipe.get("corpus") if isinstance(recipe, dict) else None
    own = corpus.get("fold") if isinstance(corpus, dict) else provenance.get("fold")
    if asked is not None and isinstance(own, int) and asked != own:
        raise ConfigError(f"{model} has learned from fold {asked}; the fold that it never saw is {own}")
    return own if asked is None else asked


def crossval(
    recipe: str,
    /,
    *,
    data: Path,
    out: Path,
    folds: list[int] | None = None,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    threads: int | None = None,
) -> int:
    """Train a recipe once for each held-out fold and report mean and deviation.

    Args:
        recipe: a name that `earmark recipes` lists.
        data: folder of the corpus.
        out: folder for one run folder each fold.
        folds: which folds are held out; all official ones if not given.
        set_: changes of the recipe, such as --set seed=1; may be given several times.
        threads: processor threads; PyTorch's default if not given.
    """
    from earmark.evaluation import evaluate as count
    from earmark.training import train as run

    set_threads(threads)
    console = Console()
    accuracies: list[float] = []
    failed = 0
    base = find_recipe(recipe, set_ or [])
    for fold in folds or range(1, base.corpus.n_folds + 1):
        held_out = base.replace(corpus=base.corpus.replace(fold=fold))
        model = run(held_out, data, out / f"fold-{fold}")
        split = held_out.corpus.read(data)
        report = count(model, split.test, split.labels)
        accuracies.append(report.top1)
        console.print(
            f"fold {fold}: top-1 {report.top1:.4f} on {report.clips} clips, mAP {report.mean_ap:.4f}"
        )
    spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
    console.print(f"mean top-1 {statistics.mean(accuracies):.4f}, standard deviation over folds {spread:.4f}")
    return 1 if failed else 0


def print_report(report: Any) -> None:
    """A table by class and the totals below."""
    table = Table("label", "clips", "found", "AP")
    for row in report.classes:
        table.add_row(row.label, str(row.clips), f"{row.found:.3f}", f"{row.ap:.3f}")
    console = Console()
    console.print(table)
    for sentence in report.failed:
        console.print(f"failed: {sentence}", markup=False)
    console.print(
        f"{report.clips} clips, {len(report.failed)} failed: top-1 {report.top1:.4f} among all labels, "
        f"{report.top1_within:.4f} among the corpus's; mAP {report.mean_ap:.4f}"
    )


def report_tree(report: Any) -> dict[str, Any]:
    """The report as plain JSON values."""
    return report._asdict() | {"classes": [row._asdict() for row in report.classes]}
