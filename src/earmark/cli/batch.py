"""A run over many files, as `tag` and `embed` share it: the same promises for both."""

import os
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from earmark.audio import displayable
from earmark.audio.pool import Pool
from earmark.cli.terminal import Output, Watch
from earmark.cli.words import Stopped, tell
from earmark.config import ConfigError
from earmark.files import commit
from earmark.inference.formats import check, pieces
from earmark.inference.journal import Journal, OutputError, Record, failure
from earmark.inference.settings import Run, cores
from earmark.inference.sources import Item, Part, Search
from earmark.inference.tables import reason
from earmark.storage import is_address

Results = Iterator[Any]
Hear = Callable[[Iterator[Item], Pool | None], Results]
Records = Callable[[], Iterable[Record]]


class Ready(NamedTuple):
    """A loaded model.

    Attributes:
        hear: items to results.
        misfit: why a record of an earlier output cannot come from this model and these settings, or None.
    """

    hear: Hear
    misfit: Callable[[Record], str | None]


@dataclass(frozen=True)
class Batch:
    """What a verb asks for.

    Attributes:
        search: the files.
        run: where it runs.
        form: the output format.
        out: the output file; None for standard output.
        resume: go on with what an earlier run left.
        settings: what must be the same when a run is resumed.
        prepare: loads the model, to compute on so many threads.  It imports torch, so it is called when the
            decoder processes are on their way.
        record: a result as a record of the journal.
        write: renders records in a format.
        earlier: an earlier output as records; refuses one that says it was made by other settings.
        pieces: of a format and whether there is one source: what turns results into pieces of text.
    """

    search: Search
    run: Run
    form: str
    out: Path | None
    resume: bool
    settings: dict[str, Any]
    prepare: Callable[[int], Ready]
    record: Callable[[Any], Record]
    write: Callable[[BinaryIO, str, bool, Records], None]
    earlier: Callable[[Path, str], Iterator[Record]]
    pieces: Callable[[str, bool], Callable[[Results], Iterator[str]]] = pieces


def run_batch(batch: Batch) -> int:
    """Hear everything and write it down.

    Returns:
        The exit status: 0, or 1 if some items failed.

    Raises:
        ConfigError: the settings do not fit together, or to what shall be resumed.
        OutputError: the output cannot be written.
        BrokenPipeError: nobody reads standard output any more.
    """
    if batch.resume and batch.out is None:
        raise ConfigError("--resume needs --out FILE: it goes on with what that file holds")
    if batch.form == "parquet" and batch.out is None:
        raise ConfigError("parquet needs --out FILE: it is no text")
    if batch.out is not None and is_address(batch.out):
        raise ConfigError(
            f"{displayable(batch.out)} is an address; give a file of this machine, or a folder and "
            "--engine ray"
        )
    check(batch.form)
    output = Output()
    if batch.out is not None:
        with Journal(batch.out, batch.settings, batch.resume) as journal:
            return _to_file(batch, batch.out, journal)
    failed = 0

    def counted(results: Results) -> Results:
        nonlocal failed
        for result in results:
            failed += result.error is not None
            yield result

    with _hearing(batch) as (heard, _):
        for piece in batch.pieces(batch.form, batch.search.single)(counted(heard(Counter()))):
            output.write(piece)
    return 1 if failed else 0


def _to_file(batch: Batch, out: Path, journal: Journal) -> int:
    try:
        with _hearing(batch) as (heard, misfit):
            if not journal.found:
                earlier = batch.resume and out.exists()
                journal.begin(_earlier(batch, out, misfit) if earlier else ())
            for result in heard(journal.done.copy()):
                journal.append(batch.record(result))
        _render(batch, out, journal)
    except (KeyboardInterrupt, Stopped, OutputError):
        if journal.done:
            kept = f"{journal.done.total()} results are kept in {displayable(journal.part)}"
            tell(f"stopped; {kept}; the same command with --resume goes on")
        raise
    journal.discard()
    return 1 if journal.failed else 0


def _earlier(batch: Batch, out: Path, misfit: Callable[[Record], str | None]) -> Iterator[Record]:
    """What a finished output holds, as far as it can be seen to come from this model and these settings."""
    for record in batch.earlier(out, batch.form):
        if (reason := misfit(record)) is not None:
            raise ConfigError(
                f"{displayable(out)}: {record.head['path']} has {reason}; resume with the model and the "
                "settings that it was made with, or leave out --resume to make it anew"
            )
        yield record


def _render(batch: Batch, out: Path, journal: Journal) -> None:
    try:
        with commit(out) as file:
            batch.write(file, batch.form, batch.search.single, journal.records)
    except OSError as error:
        raise failure(out, error) from None


@contextmanager
def _hearing(
    batch: Batch,
) -> Generator[tuple[Callable[[Counter[str]], Results], Callable[[Record], str | None]], None, None]:
    """Decoders, model and progress; gives a function from what is done already to the results of the rest,
    and `Ready.misfit`."""
    with ExitStack() as stack:
        workers = batch.run.decoders(many=not batch.search.single)
        pool = stack.enter_context(Pool(workers, batch.run.timeout)) if workers else None
        if pool is not None and batch.search.paths != ["-"]:
            pool.start()
        ready = batch.prepare(max(1, cores() - workers))
        watch = stack.enter_context(Watch())

        def heard(done: Counter[str]) -> Results:
            before = done.copy()
            watch.expect(lambda: sum(1 for _ in _rest(Search(batch.search.paths), before)))
            items = _apart_from(batch.out, batch.search.listing, _rest(batch.search, done))
            for result in ready.hear(items, pool):
                watch.step(result.seconds)
                if result.error is not None:
                    watch.tell(f"{result.path}: {reason(result.error)}")
                yield result

        yield heard, ready.misfit
        tell_skipped(watch, batch.search)


def tell_skipped(watch: Watch, search: Search) -> None:
    """Say how many files were passed over, if any were."""
    if search.skipped == 1:
        watch.tell("1 file in folders is no audio and was passed over")
    elif search.skipped:
        watch.tell(f"{search.skipped} files in folders are no audio and were passed over")


def share_cores(threads: int) -> None:
    """Leave decoders their cores: torch's threads wait by spinning, and on a core short of them that costs
    the model four times its own time (measured on two cores: 44 ms against 10 ms for a clip of 5 s)."""
    import torch

    torch.set_num_threads(min(torch.get_num_threads(), threads))


def _apart_from(out: Path | None, listing: str | None, items: Iterator[Item]) -> Iterator[Item]:
    """The items, as long as neither the list nor the file of any is the one that the output would replace."""
    target = out.stat() if out is not None and out.exists() else None
    if listing is not None and _is_at(listing, target):
        raise ConfigError(f"{displayable(listing)} would be replaced by what is heard; give another --out")
    for item in items:
        path = item.source.path if isinstance(item.source, Part) else item.source
        if isinstance(path, str) and _is_at(path, target):
            raise ConfigError(f"{item.name} would be replaced by its own tags; give another --out")
        yield item


def _is_at(path: str, target: os.stat_result | None) -> bool:
    with suppress(OSError):
        return target is not None and os.path.samestat(os.stat(path), target)  # noqa: PTH116  (odd names)
    return False


def _rest(search: Search, done: Counter[str]) -> Iterator[Item]:
    """What is not done yet; a path that is named twice is done when it was done twice."""
    for item in search:
        if done[item.name] > 0:
            done[item.name] -= 1
        else:
            yield item
