"""Events as people and programs read them, and the way into the journal and out of it."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from earmark.audio import AudioError, displayable
from earmark.audio.errors import one_line
from earmark.config import ConfigError
from earmark.inference import tables, text
from earmark.inference.journal import Record
from earmark.inference.results import Event, EventResult
from earmark.inference.tables import DIGITS, reason

COLUMNS = ("path", "onset", "offset", "label", "peak", "mean", "error")
SUFFIXES = {".txt": "text", ".json": "json", ".jsonl": "jsonl", ".csv": "csv"}
RAVEN = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Begin Path",
    "File Offset (s)",
    "Label",
    "Peak",
    "Mean",
)
"""The first seven are what Raven needs to open a table; the next two say which file is meant."""


def as_text(results: Iterable[EventResult]) -> Iterator[str]:
    """For people: see `earmark.inference.text`."""
    for result in results:
        yield "\n".join(text.event_lines(result)) + "\n"


def rows(result: EventResult) -> Iterator[dict[str, Any]]:
    """The JSON rows of a result.

    Example:
        >>> list(rows(EventResult("a.wav", 2.0, (Event("Dog", 0.5, 1.0, 0.9, 0.7),))))
        [{'path': 'a.wav', 'onset': 0.5, 'offset': 1.0, 'label': 'Dog', 'peak': 0.9, 'mean': 0.7}]
        >>> list(rows(EventResult("b.wav", 0.0, (), error=AudioError("b.wav", "the file is empty"))))
        [{'path': 'b.wav', 'error': 'the file is empty'}]
    """
    for values in flat(result):
        yield {name: value for name, value in zip(COLUMNS, values, strict=True) if value is not None}


def flat(result: EventResult) -> Iterator[tuple[Any, ...]]:
    """Rows of `COLUMNS`, None where there is nothing to say; none of a source without events."""
    if result.error is not None:
        yield (result.path, None, None, None, None, None, reason(result.error))
    for event in result.events:
        onset, offset, peak, mean = (
            round(number, DIGITS) for number in (event.onset, event.offset, event.peak, event.mean)
        )
        yield (result.path, onset, offset, event.label, peak, mean, None)


def as_audacity(results: Iterable[EventResult], single: bool) -> Iterator[str]:
    """A label track: onset, offset, label, by tabs; of several sources as `tables.as_audacity` has it."""
    for result in results:
        before = "" if single else one_line(result.path) + ": "
        yield "".join(
            f"{event.onset:.6f}\t{event.offset:.6f}\t{before}{one_line(event.label)}\n"
            for event in result.events
        )


def as_raven(results: Iterable[EventResult]) -> Iterator[str]:
    """A selection table of Raven: `RAVEN`, by tabs.

    Times of several sources go on from one to the next, as Raven counts them in a sequence of files that are
    opened together; the offset is that within the file.  Selections are as high as the model hears: half of
    its sample rate.  Sources that failed have no line, and no length.

    Example:
        >>> result = EventResult("a.wav", 2.0, (Event("Dog", 0.5, 1.0, 0.9, 0.7),), 32000)
        >>> [line.split("\\t")[:7] for line in list(as_raven([result, result]))[2].splitlines()]
        [['2', 'Spectrogram 1', '1', '2.500000', '3.000000', '0', '16000']]
    """
    yield "\t".join(RAVEN) + "\n"
    count, before = 0, 0.0
    for result in results:
        lines: list[str] = []
        for event in result.events:
            count += 1
            times = [f"{before + time:.6f}" for time in (event.onset, event.offset)]
            heard = [one_line(result.path).replace("\t", " "), f"{event.onset:.6f}", one_line(event.label)]
            scores = [f"{score:.6f}" for score in (event.peak, event.mean)]
            high = f"{result.sample_rate / 2:g}"
            lines.append("\t".join([str(count), "Spectrogram 1", "1", *times, "0", high, *heard, *scores]))
        before += result.seconds
        yield "".join(line + "\n" for line in lines)


def pieces(form: str, single: bool) -> Callable[[Iterable[EventResult]], Iterator[str]]:
    """The function that turns results into pieces of text.

    Raises:
        ConfigError: there is no such format for events.
    """
    writers: dict[str, Callable[[Iterable[EventResult]], Iterator[str]]] = {
        "text": as_text,
        "json": partial(tables.as_json, rows_of=rows),
        "jsonl": partial(tables.as_jsonl, rows_of=rows),
        "csv": partial(tables.as_csv, columns=COLUMNS, lines_of=flat),
        "audacity": partial(as_audacity, single=single),
        "raven": as_raven,
    }
    if form not in writers:
        raise ConfigError(f"events cannot be written as {form}; take one of {', '.join(writers)}")
    return writers[form]


def write_events(file: BinaryIO, form: str, single: bool, records: Callable[[], Iterable[Record]]) -> None:
    """Render the journal of a run."""
    for piece in pieces(form, single)(map(events_of, records())):
        file.write(piece.encode())


def read_events(path: Path, form: str) -> Iterator[Record]:
    """No earlier output is read: a source without events has left nothing in it.

    Raises:
        ConfigError: always.
    """
    raise ConfigError(
        f"{displayable(path)} is finished, and a finished {form} of events cannot be added to; leave out "
        "--resume to make it anew"
    )


def of_events(result: EventResult) -> Record:
    """A result as a record."""
    if result.error is not None:
        return Record({"path": result.path, "error": reason(result.error)})
    events = [[event.label, event.onset, event.offset, event.peak, event.mean] for event in result.events]
    head = {"path": result.path, "seconds": result.seconds, "rate": result.sample_rate, "events": events}
    return Record(head)


def events_of(record: Record) -> EventResult:
    """The result that a record holds.

    Example:
        >>> result = EventResult("a.wav", 2.0, (Event("Dog", 0.5, 1.0, 0.9, 0.7),), 32000)
        >>> events_of(of_events(result)) == result
        True
    """
    head = record.head
    if "error" in head:
        return EventResult(head["path"], 0.0, (), error=AudioError(head["path"], head["error"]))
    events = tuple(Event(*values) for values in head["events"])
    return EventResult(head["path"], head["seconds"], events, head["rate"])
