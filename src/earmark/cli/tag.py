"""`earmark tag`: say what is heard."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

Flag = Parameter(negative="")
Format = Annotated[
    Literal["text", "json", "jsonl", "csv", "audacity", "parquet"] | None, Parameter(name="--format")
]


def tag(
    paths: list[str],
    /,
    *,
    model: str = "builtin",
    top: int = 5,
    threshold: float | str = 0.0,
    window: float | None = None,
    hop: float | None = None,
    form: Format = None,
    out: Path | None = None,
    device: str = "cpu",
    precision: Literal["fp32", "bf16", "int8"] = "fp32",
    batch: int = 16,
    workers: int | None = None,
    resume: Annotated[bool, Flag] = False,
    on_truncated: Literal["error", "keep"] = "error",
) -> int:
    """Say what is heard in recordings.

    A file that cannot be heard is named on standard error and in the output; the others are done, and the
    exit status is 1.

    Args:
        paths: files, folders, globs, or - for standard input.
        model: a name, a checkpoint file, a training run's folder, or several of them with commas between.
        top: at most so many tags for each file or window.
        threshold: leave out tags of a lower score, 0 to 1; or a file of thresholds, one for each label, that
            `earmark evaluate --out FOLDER` wrote, or that folder; or auto, for the one beside the model.
        window: seconds; tags for each stretch of this length, instead of one set for the file.
        hop: seconds from the start of one window to the next; the window if not given.
        form: of the output; by the suffix of --out if not given, else text.
        out: write to this file, which appears when all is done; standard output if not given, or -.
        device: where the model computes, such as cuda.
        precision: fp32, or bf16 or int8 for less work and results that are a little less exact.
        batch: windows that go through the model together.
        workers: decoder processes; 0 decodes in this one.
        resume: go on with what a stopped run with this --out left; or add to a finished .jsonl or .parquet.
        on_truncated: refuse files that are cut off (error), or hear what is there (keep).
    """
    from earmark.cli.batch import Batch, Ready, run_batch
    from earmark.inference import formats
    from earmark.inference.settings import Run, TagSettings
    from earmark.inference.sources import Search

    out = None if out == Path("-") else out
    if isinstance(threshold, str):  # a file of thresholds, which must be known before the run begins
        from earmark.inference.settings import Cut
        from earmark.inference.tagging import tag_settings

        settings = tag_settings(model, threshold, Cut(window=window, hop=hop), top)
    else:
        settings = TagSettings(top=top, threshold=threshold, window=window, hop=hop)
    run = Run(device=device, batch=batch, workers=workers, on_truncated=on_truncated)

    def prepare() -> Ready:
        from earmark.inference.tagging import ready_to_tag, tag_items
        from earmark.models.precision import with_precision

        tagger = with_precision(ready_to_tag(model, device), precision)
        return Ready(
            hear=lambda items, pool: tag_items(items, tagger, settings, run, pool),
            misfit=lambda record: formats.misfit_of_tags(record, settings, tagger.labels.names),
        )

    return run_batch(
        Batch(
            search=Search(paths),
            run=run,
            form=formats.choose(out, form, formats.TAG_SUFFIXES),
            out=out,
            resume=resume,
            settings={
                "verb": "tag",
                "model": model,
                "precision": precision,
                "on_truncated": on_truncated,
                **settings.to_dict(),
            },
            prepare=prepare,
            record=formats.of_tags,
            write=formats.write_tags,
            earlier=formats.read_tags,
        )
    )
