"""The benchmark's metrics, by their names in task_metadata.json."""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int64

from earmark.evaluation.hear_tasks.events import needed
from earmark.evaluation.hear_tasks.layout import Event
from earmark.evaluation.metrics import curves, d_prime, mean_over

Scores = Float[np.ndarray, "sound label"]
Flags = Bool[np.ndarray, "sound label"]
BySound = Mapping[str, Sequence[Event]]

OF_FAILURES = ("top1_acc", "pitch_acc", "chroma_acc")
"""Metrics in which a sound that could not be heard counts as wrong; others of whole sounds leave it out."""
LOWER_IS_BETTER = ("segment_1s_er",)


def top1(scores: Scores, targets: Flags, labels: Sequence[str]) -> float:
    """The share of sounds whose best label is the true one.

    Example:
        >>> top1(np.array([[0.2, 0.8], [0.7, 0.3]]), np.array([[False, True], [False, True]]), ("a", "b"))
        0.5
    """
    return float((scores.argmax(axis=1) == targets.argmax(axis=1)).mean())


def chroma(scores: Scores, targets: Flags, labels: Sequence[str]) -> float:
    """The same for pitches, octaves left out of account: labels are MIDI numbers, or counted from 0.

    Example:
        >>> chroma(np.eye(24)[[12, 3]], np.eye(24, dtype=bool)[[0, 4]], [str(n) for n in range(24)])
        0.5
    """
    pitches = _pitches(labels)
    return float((pitches[scores.argmax(axis=1)] % 12 == pitches[targets.argmax(axis=1)] % 12).mean())


def _pitches(labels: Sequence[str]) -> Int64[np.ndarray, "label"]:
    whole = all(label.isascii() and label.isdigit() for label in labels)
    return np.array([int(label) if whole else place for place, label in enumerate(labels)], dtype=np.int64)


OF_SOUNDS: dict[str, Callable[[Scores, Flags, Sequence[str]], float]] = {
    "top1_acc": top1,
    "pitch_acc": top1,
    "chroma_acc": chroma,
    "mAP": lambda scores, targets, _: mean_over(one.average_precision() for one in curves(scores, targets)),
    "d_prime": lambda scores, targets, _: mean_over(d_prime(one.auc()) for one in curves(scores, targets)),
    "aucroc": lambda scores, targets, _: mean_over(one.auc() for one in curves(scores, targets)),
}
"""Metrics of whole sounds: of probabilities, targets and labels.  Means leave out classes where they are not
defined."""


class Collar(NamedTuple):
    """When an event found is one that there is.

    Attributes:
        onset: seconds that its start may be off.
        offset: share of the true event's length that its end may be off, if that is more than `onset`; None
            if the end does not matter.
    """

    onset: float
    offset: float | None = None


COLLARS = {
    "event_onset_200ms_fms": Collar(0.2),
    "event_onset_50ms_fms": Collar(0.05),
    "event_onset_offset_50ms_20perc_fms": Collar(0.05, 0.2),
}


def f_measure(found: BySound, true: BySound, labels: Sequence[str], collar: Collar) -> float:
    """F-measure of events over all sounds; each found one answers for one of the same label at most.

    Args:
        found: events by sound.
        true: likewise; sounds that are not in `found` count as ones in which nothing was found.
        labels: all of them.
        collar: how near they must be.

    Returns:
        From 0 to 1; NaN if there is neither a true event nor a found one.

    Source:
        mir_eval's matching of notes, labels being pitches; the same as sed_eval's optimal event matching.

    Example:
        >>> true = {"a": [Event("dog", 100.0, 300.0), Event("cat", 500.0, 700.0)]}
        >>> f_measure({"a": [Event("dog", 250.0, 300.0)]}, true, ["cat", "dog"], Collar(0.2))
        0.6666666666666666
    """
    match = needed("mir_eval.transcription").match_notes
    hits = 0
    for sound, events in true.items():
        answers = found.get(sound, ())
        if events and answers:
            pair = (*_notes(events, labels), *_notes(answers, labels))
            hits += len(
                match(
                    *pair,
                    onset_tolerance=collar.onset,
                    offset_ratio=collar.offset,
                    offset_min_tolerance=collar.onset,
                )
            )
    count = sum(map(len, true.values())) + sum(len(found.get(sound, ())) for sound in true)
    return 2 * hits / count if count else float("nan")


def _notes(
    events: Sequence[Event], labels: Sequence[str]
) -> tuple[Float[np.ndarray, "event 2"], Float[np.ndarray, "event"]]:
    """Starts and ends in seconds, and a frequency for each label, an octave from any other."""
    column = {label: float(place) for place, label in enumerate(labels)}
    times = np.array([(event.start, event.end) for event in events]) / 1000
    return times, 2.0 ** np.array([column[event.label] for event in events])


def error_rate(found: BySound, true: BySound, labels: Sequence[str], seconds: float = 1.0) -> float:
    """Substitutions, deletions and insertions in segments of one second, by the true labels there are.

    Args:
        found: events by sound.
        true: likewise.
        labels: all of them.
        seconds: length of a segment.

    Returns:
        0 or more, which may be above 1; NaN if there is no true event.

    Source:
        Mesaros et al., Metrics for polyphonic sound event detection (2016); sed_eval's segment-based metrics.

    Example:
        >>> true = {"a": [Event("dog", 100.0, 1900.0)]}
        >>> error_rate({"a": [Event("cat", 100.0, 900.0)]}, true, ["cat", "dog"])  # one wrong, one missing
        1.0
    """
    errors = wanted = 0
    for sound, events in true.items():
        answers = found.get(sound, ())
        last = max((event.end for event in (*events, *answers)), default=0.0)
        n_segments = int(np.ceil(last / 1000 / seconds))
        there, said = (_segments(some, labels, seconds, n_segments) for some in (events, answers))
        missed, extra = (there & ~said).sum(axis=1), (said & ~there).sum(axis=1)
        errors += int(np.maximum(missed, extra).sum())  # a missed and an extra one are one substitution
        wanted += int(there.sum())
    return errors / wanted if wanted else float("nan")


def _segments(
    events: Sequence[Event], labels: Sequence[str], seconds: float, n_segments: int
) -> Bool[np.ndarray, "segment label"]:
    active = np.zeros((n_segments, len(labels)), dtype=bool)
    column = {label: place for place, label in enumerate(labels)}
    for event in events:
        first, stop = int(event.start / 1000 // seconds), int(np.ceil(event.end / 1000 / seconds))
        active[first:stop, column[event.label]] = True
    return active


def of_events(name: str, found: BySound, true: BySound, labels: Sequence[str]) -> float:
    """A metric of events by its name."""
    if name == "segment_1s_er":
        return error_rate(found, true, labels)
    return f_measure(found, true, labels, COLLARS[name])


def known_metrics(embedding: str) -> tuple[str, ...]:
    """The names of metrics for whole sounds ("scene") or for events ("event")."""
    return tuple(OF_SOUNDS) if embedding == "scene" else (*COLLARS, *LOWER_IS_BETTER)
