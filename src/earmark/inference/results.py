"""What tagging and embedding give."""

import html
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float

from earmark.inference import text


@dataclass(frozen=True)
class Tag:
    """A label and the probability that it holds.

    Example:
        >>> Tag("Dog", 0.93421)
        Tag('Dog', 0.934)
    """

    label: str
    score: float

    def __repr__(self) -> str:
        return f"Tag({self.label!r}, {self.score:.3g})"


@dataclass(frozen=True)
class TagRow:
    """The tags of a stretch of a file.

    Attributes:
        path: the file, as it was given, printable.
        start: where the stretch begins, in seconds.
        end: where it ends, in seconds.
        tags: best first; there may be none.
    """

    path: str
    start: float
    end: float
    tags: tuple[Tag, ...]


@dataclass(frozen=True, repr=False)
class TagResult:
    """What was heard in one source.

    Attributes:
        path: the source, as it was given, printable.
        seconds: its length.
        rows: one for the whole, or one for each window; none after an error.
        error: why nothing was heard; None if all went well.

    Example:
        >>> row = TagRow("dog.wav", 0.0, 2.0, (Tag("Dog", 0.9), Tag("Rain", 0.1)))
        >>> result = TagResult("dog.wav", 2.0, (row,))
        >>> result
        dog.wav  0:02
          Dog   0.90  ██████████████████
          Rain  0.10  ██
        >>> result.tags[0].label
        'Dog'
    """

    path: str
    seconds: float
    rows: tuple[TagRow, ...]
    error: Exception | None = field(default=None, compare=False)

    @property
    def tags(self) -> tuple[Tag, ...]:
        """The tags of the first row: of the whole source, where no windows were asked for."""
        return self.rows[0].tags if self.rows else ()

    def __repr__(self) -> str:
        return "\n".join(text.lines(self))

    def _repr_html_(self) -> str:
        if self.error is not None:
            return f"<p><b>{html.escape(self.path)}</b>: {html.escape(str(self.error))}</p>"
        cells = "".join(
            f"<tr><td>{text.clock(row.start)} - {text.clock(row.end)}</td><td>{html.escape(tag.label)}</td>"
            f"<td>{tag.score:.2f}</td><td><progress value='{tag.score:.4f}'></progress></td></tr>"
            for row in self.rows
            for tag in row.tags
        )
        return f"<table><caption>{html.escape(self.path)}</caption>{cells}</table>"


@dataclass(frozen=True)
class Event:
    """A sound from its beginning to its end.

    Attributes:
        label: what it is.
        onset: where it begins, in seconds.
        offset: where it ends, in seconds.
        peak: the highest score in it.
        mean: the mean score in it.

    Example:
        >>> Event("Dog", 1.25, 2.0, 0.93421, 0.61)
        Event('Dog', 1.25 - 2, 0.934)
    """

    label: str
    onset: float
    offset: float
    peak: float
    mean: float

    def __repr__(self) -> str:
        return f"Event({self.label!r}, {self.onset:g} - {self.offset:g}, {self.peak:.3g})"


@dataclass(frozen=True, repr=False)
class EventResult:
    """What was heard when in one source.

    Attributes:
        path: the source, as it was given, printable.
        seconds: its length.
        events: by their onsets.
        sample_rate: at which it was heard, in Hz.
        error: why nothing was heard; None if all went well.

    Example:
        >>> EventResult("dog.wav", 2.0, (Event("Dog", 0.5, 1.25, 0.9, 0.7),), 32000)
        dog.wav  0:02  1 event
             0.50 -      1.25  Dog  0.90  ██████████████████
    """

    path: str
    seconds: float
    events: tuple[Event, ...]
    sample_rate: int = 0
    error: Exception | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        return "\n".join(text.event_lines(self))


@dataclass(frozen=True, repr=False, eq=False)
class EmbedResult:
    """The embeddings of one source.

    Attributes:
        path: the source, as it was given, printable.
        seconds: its length.
        embeddings: one vector for each row or frame, earliest first.
        starts: where each begins, in seconds.
        ends: where each ends, in seconds.
        error: why there are none; None if all went well.
    """

    path: str
    seconds: float
    embeddings: Float[np.ndarray, "row dim"]
    starts: Float[np.ndarray, "row"]
    ends: Float[np.ndarray, "row"]
    error: Exception | None = None

    def __repr__(self) -> str:
        if self.error is not None:
            return f"EmbedResult({self.path!r}, error={str(self.error)!r})"
        rows, dim = self.embeddings.shape
        return f"EmbedResult({self.path!r}, {self.seconds:.2f} s, {rows} x {dim})"

    def _repr_html_(self) -> str:
        return f"<code>{html.escape(repr(self))}</code>"


def best(
    scores: Float[np.ndarray, "class"],
    names: Sequence[str],
    top: int,
    threshold: float | Float[np.ndarray, "class"],
) -> tuple[Tag, ...]:
    """The best labels, best first; of equal ones the earlier first.

    Args:
        scores: of all labels.
        names: of all labels.
        top: at most so many.
        threshold: labels of a lower score are left out; one for all, or one for each.

    Example:
        >>> best(np.array([0.1, 0.7, 0.2]), ("Dog", "Rain", "Wind"), top=2, threshold=0.15)
        (Tag('Rain', 0.7), Tag('Wind', 0.2))
    """
    enough = scores >= threshold
    order: list[int] = np.argsort(-scores, kind="stable").tolist()
    given = [index for index in order if enough[index]][:top]
    return tuple(Tag(names[index], float(scores[index])) for index in given)
