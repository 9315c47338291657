"""Results as people read them."""

import unicodedata
from collections.abc import Iterator
from typing import TYPE_CHECKING

from earmark.audio.errors import one_line

if TYPE_CHECKING:
    from earmark.inference.results import EventResult, TagResult

BAR = 20
EIGHTHS = " ▏▎▍▌▋▊▉"


def lines(result: "TagResult") -> Iterator[str]:
    """The lines for one file: its name and length, then aligned tags with a bar for each probability."""
    if result.error is not None:
        yield _failure(result.path, result.error)
        return
    yield f"{one_line(result.path)}  {clock(result.seconds)}"
    labels = [tag.label for row in result.rows for tag in row.tags]
    width = max((cells(one_line(label)) for label in labels), default=0)
    whole = len(result.rows) == 1 and result.rows[0].start == 0 and result.rows[0].end == result.seconds
    ranges = ["" if whole else f"{clock(row.start)} - {clock(row.end)}  " for row in result.rows]
    indent = max((len(text) for text in ranges), default=0)
    for row, text in zip(result.rows, ranges, strict=True):
        if not row.tags:
            yield f"  {text:<{indent}}(no tag)".rstrip()
        for index, tag in enumerate(row.tags):
            yield f"  {text if index == 0 else '':<{indent}}{_scored(tag.label, tag.score, width)}"


def event_lines(result: "EventResult") -> Iterator[str]:
    """The lines for one file: its name and length, then its events with a bar for the peak of each."""
    if result.error is not None:
        yield _failure(result.path, result.error)
        return
    count = f"{len(result.events) or 'no'} event{'' if len(result.events) == 1 else 's'}"
    yield f"{one_line(result.path)}  {clock(result.seconds)}  {count}"
    width = max((cells(one_line(event.label)) for event in result.events), default=0)
    for event in result.events:
        yield f"  {event.onset:7.2f} - {event.offset:9.2f}  {_scored(event.label, event.peak, width)}"


def _failure(path: str, error: Exception) -> str:
    return f"{one_line(path)}  error: {one_line(getattr(error, 'reason', str(error)))}"


def _scored(label: str, score: float, width: int) -> str:
    label = one_line(label)
    return f"{label}{' ' * (width - cells(label))}  {score:.2f}  {bar(score)}".rstrip()


def bar(score: float) -> str:
    """A bar of up to twenty columns, in eighths of a column.

    Example:
        >>> bar(0.5), bar(0.02)
        ('██████████', '▍')
    """
    eighths = max(0, min(BAR * 8, int(score * BAR * 8 + 0.5)))
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def clock(seconds: float) -> str:
    """Seconds as m:ss, or h:mm:ss; with a tenth where it is not whole.

    Example:
        >>> clock(65.0), clock(2.5), clock(3 * 3600 + 61.0)
        ('1:05', '0:02.5', '3:01:01')
    """
    tenths = int(seconds * 10 + 0.5)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    tail = f"{rest // 10:02d}" + (f".{rest % 10}" if rest % 10 else "")
    return f"{hours}:{minutes:02d}:{tail}" if hours else f"{minutes}:{tail}"


def cells(text: str) -> int:
    """Columns that a text takes on a terminal.

    Example:
        >>> cells("Dog"), cells("犬")
        (3, 2)
    """
    wide = sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)
    return len(text) + wide - sum(unicodedata.combining(letter) > 0 for letter in text)
