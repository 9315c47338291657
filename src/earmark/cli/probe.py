"""`earmark probe`: how much of a corpus's labels do a model's embeddings tell?"""

import json
from pathlib import Path
from typing import Literal

from earmark.cli.words import set_threads


def probe(
    data: Path,
    /,
    *,
    model: str = "builtin",
    corpus: str | None = None,
    fold: int | None = None,
    layer: list[int | Literal["bands", "end"]] | None = None,
    pool: Literal["summary", "mean", "mean+deviation"] = "summary",
    out: Path | None = None,
    device: str = "cpu",
    threads: int | None = None,
) -> int:
    """Fit a linear classifier on frozen embeddings, and count on held-out clips.

    Logistic regression on standardized vectors, nothing tuned; each fold is held out once, or what the
    table's column of splits says.  Clips of one group (or file) are never on both sides.

    Args:
        data: a table of clips, a folder with a folder for each class, or a corpus's folder.
        model: a name, a checkpoint file or a run folder.
        corpus: its name, such as esc50; not needed where the data tell it.
        fold: hold out this one alone; needed for a model that learned from the others.
        layer: embed with this layer of the encoder; several, bands and end as for `earmark embed`.
        pool: how frames become a vector, as for `earmark embed`.
        out: write the numbers to this .json, too.
        device: where the model computes, such as cuda.
        threads: processor threads; PyTorch's default if not given.
    """
    from earmark.cli.evaluate import plain_console, watching
    from earmark.config import ConfigError
    from earmark.evaluation.folder import write_text
    from earmark.evaluation.held_out import hold_out
    from earmark.evaluation.probe import clips_of
    from earmark.evaluation.probe import probe as run
    from earmark.inference.placing import place
    from earmark.inference.settings import EmbedSettings, as_layer
    from earmark.models import load

    settings = EmbedSettings(layer=as_layer(layer), pool=pool)
    if out is not None and out.suffix.lower() != ".json":
        raise ConfigError(f"--out {out.name!r} must end in .json: it is written as numbers")
    set_threads(threads)
    held = hold_out([model], data, corpus, fold)
    splits = list(held.splits.values())
    with watching(len(clips_of(splits))) as step:
        report = run(place(load(model), device), splits, settings, step)
    console = plain_console()
    for sentence in report.failed:
        console.print(f"failed: {sentence}")
    for number, score in zip(held.splits, report.scores, strict=True):
        console.print(f"{'' if number is None else f'fold {number}: '}{report.metric} {score:.4f}")
    console.print(
        f"{report.clips} clips, {len(report.failed)} failed: mean {report.metric} {report.mean:.4f} "
        f"+- {report.deviation:.4f}; the same answer for all gives {report.chance:.4f}",
        soft_wrap=True,
    )
    if out is not None:
        tree = report._asdict() | {"folds": [number for number in held.splits if number is not None]}
        write_text(out, json.dumps(tree | {"model": model, **settings.to_dict()}, indent=1))
    return 1 if report.failed else 0
