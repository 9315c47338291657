"""`earmark tag`: say what is heard."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from earmark.cli.words import Assignments, Flag

if TYPE_CHECKING:
    from earmark.cli.batch import Ready
    from earmark.inference.hearing import Ear
    from earmark.inference.settings import Cut, EventSettings, Run, TagSettings

Precision = Literal["fp32", "bf16", "int8"]
Format = Annotated[
    Literal["text", "json", "jsonl", "csv", "audacity", "raven", "parquet"] | None,
    Parameter(name="--format"),
]


def tag(
    paths: list[str],
    /,
    *,
    model: str = "builtin",
    top: int | None = None,
    threshold: float | str | None = None,
    window: float | None = None,
    hop: float | None = None,
    events: Annotated[bool, Flag] = False,
    set_: Assignments = None,
    form: Format = None,
    out: Path | None = None,
    device: str = "cpu",
    precision: Precision = "fp32",
    batch: int = 16,
    workers: int | None = None,
    resume: Annotated[bool, Flag] = False,
    on_truncated: Literal["error", "keep"] = "error",
    engine: Literal["here", "ray"] = "here",
    address: str | None = None,
) -> int:
    """Say what is heard in recordings.

    A file that cannot be heard is named on standard error and in the output; the others are done, and the
    exit status is 1.

    Args:
        paths: files, folders, globs, addresses, or - for standard input; or one table of sounds, which may
            name stretches of files.
        model: a name, a checkpoint file, a training run's folder, or several of them with commas between; or
            an .onnx file that `earmark export` wrote, which needs no torch.
        top: at most so many tags for each file or window; 5 if not given.
        threshold: leave out tags of a lower score, 0 to 1, and none if not given; of events, the score that
            one reaches, 0.5 if not given; or a file of thresholds, one for each label, that
            `earmark evaluate --out FOLDER` wrote, or that folder; or auto, for the one beside the model.
        window: seconds; tags for each stretch of this length, instead of one set for the file.
        hop: seconds from the start of one window to the next; the window if not given.
        events: give events, from when to when, across the borders of windows; of the model's frames, or of
            windows of 1 s every 0.25 s, if no window is given.
        set_: rules of events: off_threshold, and in seconds median, min_duration and min_gap, such as
            --set min_gap=0.5; may be given several times.
        form: of the output; by the suffix of --out if not given, else text.
        out: write to this file, which appears when all is done; standard output if not given, or -.
        device: where the model computes, such as cuda.
        precision: fp32, or bf16 or int8 for less work and results that are a little less exact.
        batch: windows that go through the model together.
        workers: decoder processes; 0 decodes in this one.
        resume: go on with what a stopped run with this --out left; or add to a finished .jsonl or .parquet.
        on_truncated: refuse files that are cut off (error), or hear what is there (keep).
        engine: this process (here), or many on all machines of a Ray cluster (ray), which write a folder of
            .parquet parts.
        address: of the cluster; a Ray of its own on this machine if not given.
    """
    from earmark.cli.batch import Batch
    from earmark.cli.scaled import run_by
    from earmark.config import ConfigError
    from earmark.inference import event_tables, formats
    from earmark.inference.digest import weights_digest
    from earmark.inference.settings import Cut, Run
    from earmark.inference.sources import Search

    out = None if out == Path("-") else out
    cut = Cut(window=window, hop=hop)
    run = Run(device=device, batch=batch, workers=workers, on_truncated=on_truncated)
    asked = (
        _events_asked(model, top, threshold, cut, set_) if events else _tags_asked(model, top, threshold, cut)
    )
    if set_ and not events:
        raise ConfigError("--set is for the rules of events; add --events, or leave it out")
    if form == "raven" and not events:
        raise ConfigError("a table for Raven is of events; add --events, or take --format audacity")
    form = "parquet" if engine == "ray" and form is None else form
    named = formats.choose(out, form, event_tables.SUFFIXES if events else formats.TAG_SUFFIXES)
    if events:
        event_tables.pieces(named, single=False)  # refuses other formats, before any work

    def prepare(threads: int) -> "Ready":
        return _ready(_ear(model, device, precision, threads), asked, run)

    verb: dict[str, Any] = {"verb": "tag --events" if events else "tag", "precision": precision}
    if out is not None:
        verb["model_digest"] = weights_digest(model)
    return run_by(
        engine,
        address,
        Batch(
            search=Search(paths),
            run=run,
            form=named,
            out=out,
            resume=resume,
            settings={**verb, "model": model, "on_truncated": on_truncated, **asked.to_dict()},
            prepare=prepare,
            record=event_tables.of_events if events else formats.of_tags,
            write=event_tables.write_events if events else formats.write_tags,
            earlier=event_tables.read_events if events else formats.read_tags,
            pieces=event_tables.pieces if events else formats.pieces,
        ),
    )


def _ear(model: str, device: str, precision: Precision, threads: int) -> "Ear":
    from earmark.config import ConfigError
    from earmark.inference.onnx_ear import open_onnx, stand_in
    from earmark.onnx_file import is_onnx

    if is_onnx(model) and precision != "fp32":
        raise ConfigError(
            f"--precision is {precision}, but an .onnx file computes as it was exported; leave it out, or "
            "`earmark export --to onnx` again with --precision fp16 or int8"
        )
    file = Path(model) if is_onnx(model) else stand_in(model, device, precision)
    if file is not None:
        return open_onnx(file, device, threads)
    from earmark.cli.batch import share_cores
    from earmark.inference.tagging import ready_to_tag

    share_cores(threads)
    return ready_to_tag(model, device, precision)


def _tags_asked(model: str, top: int | None, threshold: float | str | None, cut: "Cut") -> "TagSettings":
    from earmark.inference.settings import TagSettings

    most, least = 5 if top is None else top, 0.0 if threshold is None else threshold
    if isinstance(least, str):  # a file of thresholds, which must be known before the run begins
        from earmark.inference.tagging import tag_settings

        return tag_settings(model, least, cut, most)
    return TagSettings(top=most, threshold=least, window=cut.window, hop=cut.hop)


def _events_asked(
    model: str, top: int | None, threshold: float | str | None, cut: "Cut", rules: list[str] | None
) -> "EventSettings":
    from earmark.config import ConfigError, override
    from earmark.inference.settings import EventSettings

    if top is not None:
        raise ConfigError("--top is of tags; --events gives all events, and --threshold says of which scores")
    given: dict[str, Any] = {"window": cut.window, "hop": cut.hop}
    if isinstance(threshold, str):
        given["chosen"] = _tags_asked(model, None, threshold, cut).chosen
    elif threshold is not None:
        given["threshold"] = threshold
    return override(EventSettings(**given), rules or [])


def _ready(ear: "Ear", asked: "TagSettings | EventSettings", run: "Run") -> "Ready":
    from earmark.cli.batch import Ready
    from earmark.inference import formats
    from earmark.inference.settings import TagSettings
    from earmark.inference.tags import tag_items
    from earmark.inference.tracking import event_items

    if isinstance(asked, TagSettings):
        return Ready(
            lambda items, pool: tag_items(items, ear, asked, run, pool),
            lambda record: formats.misfit_of_tags(record, asked, ear.labels.names),
        )
    return Ready(lambda items, pool: event_items(items, ear, asked, run, pool), lambda record: None)
