"""`earmark prepare`: fetch an archive, check it, write a manifest of it."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App

from earmark.cli.words import Flag, tell

if TYPE_CHECKING:
    from earmark.data.clips import Clip, Split
    from earmark.data.preparation.preparing import Measured, Summary

app = App(name="prepare", help="Check an archive of recordings, or fetch it; or make HEAR tasks of it.")
app.command(
    "earmark.cli.prepare_hear:hear_tasks", name="hear-tasks", help="Make tasks for `earmark hear eval`."
)


@app.default
def prepare(
    corpus: str,
    root: Path,
    /,
    *,
    out: Path | None = None,
    download: Annotated[bool, Flag] = False,
    decode: Annotated[bool, Flag] = False,
    workers: int | None = None,
) -> int:
    """Check an archive of recordings: how many of which class, how long, and what cannot be read.

    Files that cannot be read are listed with their reasons; the exit status is 1 if there are some.

    Args:
        corpus: audioset, audioset-balanced, builtin, esc10, esc50, fsd50k, openmic or speech-commands; or
            table or folder, for clips of your own.
        root: folder of the corpus, or the table.
        out: write a manifest there, a .jsonl file with a line for each clip that can be read.
        download: fetch first what is not there; for esc50, speech-commands, fsd50k and openmic.
        decode: decode everything; otherwise only headers are read.
        workers: readers at work together; chosen by the machine if not given.
    """
    from earmark.data.finding import find_corpus
    from earmark.data.holding_out import HeldOut
    from earmark.data.preparation.manifest import write_manifest
    from earmark.data.preparation.preparing import place, summarize

    chosen, root = find_corpus(root, corpus)
    if download and not fetched(chosen, root):
        return 1
    if isinstance(chosen, HeldOut):
        chosen = chosen.resolved(root)
    split, placed = place(chosen, root)
    clips = [one.clip for one in placed]
    measured = list(watched(clips, decode, workers))
    summary = summarize(split.labels, placed, measured)
    for sentence in summary.failed:
        tell(sentence)
    print_summary(split, summary)
    if out is not None:
        count = write_manifest(out, placed, measured)
        tell(f"{count} clips are listed in {out}")
    return 1 if summary.failed else 0


def fetched(corpus: Any, root: Path) -> bool:
    """Have an archive in its folder; whether that went well."""
    from earmark.data.preparation.downloads import download, publication
    from earmark.fetching import FetchError

    published = publication(corpus.kind)
    tell(f"{corpus.kind} is published under {published.license}")
    try:
        brought = download(published, root)
    except FetchError as error:
        tell(str(error))
        return False
    tell(
        f"{len(brought)} files and folders were put into {root}"
        if brought
        else f"{root} has all of it already"
    )
    return True


def watched(clips: "Sequence[Clip]", decode: bool, workers: int | None) -> "Iterator[Measured]":
    """Find out about each clip, with a bar on a terminal."""
    from earmark.cli.terminal import Watch
    from earmark.config import ConfigError
    from earmark.data.preparation.preparing import decode as decoded
    from earmark.data.preparation.preparing import measure
    from earmark.inference.settings import cores

    if workers is not None and not 1 <= workers <= 256:
        raise ConfigError(f"--workers {workers}; give 1 to 256")
    with Watch() as watch:
        watch.expect(lambda: len(clips))
        if decode:
            measured = decoded(clips, workers or min(4, cores()))
        else:
            measured = measure(clips, workers or min(8, 2 * cores()))
        for found in measured:
            watch.step(found.seconds or 0.0)
            yield found


def print_summary(split: "Split", summary: "Summary") -> None:
    """A table by class, and the totals below."""
    from rich.console import Console
    from rich.table import Table

    console = Console(markup=False, highlight=False, emoji=False)
    parts = list(summary.parts)
    table = Table("class", *parts, *(["unknown"] if summary.unknown else []))
    for name, counts in summary.classes.items():
        cells = [str(counts[part]) for part in parts]
        table.add_row(name, *cells, *([str(summary.unknown[name])] if summary.unknown else []))
    console.print(table)
    for line in totals(split, summary):
        console.print(line, soft_wrap=True)


def totals(split: "Split", summary: "Summary") -> list[str]:
    """The sums of an archive, a sentence each."""
    clips = summary.parts.total()
    by_part = ", ".join(f"{part} {count}" for part, count in summary.parts.items())
    lines = [f"{clips} clips of {len(summary.classes)} classes: {by_part}"]
    empty = [name for name, counts in summary.classes.items() if not counts]
    if empty:
        lines.append(f"{len(empty)} classes have no clip, such as {empty[0]}")
    if summary.seconds:
        ends = (summary.seconds[0], statistics.median(summary.seconds), summary.seconds[-1])
        words = "the shortest {:.4g} s, the middle one {:.4g} s, the longest {:.4g} s".format(*ends)
        lines.append(f"{sum(summary.seconds) / 3600:.2f} hours: {words}")
    rates = ", ".join(f"{count} at {rate} Hz" for rate, count in summary.rates.most_common(8))
    if rates:
        lines.append(f"sample rates: {rates}")
    if split.missing:
        lines.append(f"{len(split.missing)} clips are listed but not here, such as {split.missing[0]}")
    lines.append(f"{len(summary.failed)} clips cannot be read")
    return lines
