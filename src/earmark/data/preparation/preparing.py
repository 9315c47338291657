"""What an archive really holds: each clip's place and length, and which cannot be read."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol, runtime_checkable

from earmark import audio
from earmark.config import ConfigError
from earmark.data.clips import Clip, Split
from earmark.data.feeding.decoding import NOTHING_THERE, Place, Places, decode_ahead, encoded, processes
from earmark.labels import LabelSet

SPLITS = ("train", "validation", "test")
DECODE_RATE = 32000
"""Hz to which everything is brought when it is decoded only to see whether it can be."""
AT_ONCE = 4096
"""Clips that are handed to the workers together: millions of waiting tasks would fill the memory."""


@runtime_checkable
class Corpus(Protocol):
    """What is asked of a corpus here; see `earmark.data.CORPORA`."""

    @property
    def n_folds(self) -> int:
        """How many folds there are; 0 where one part is always held out."""
        ...

    def read(self, root: Path) -> Split:
        """The clips under `root`."""
        ...

    def replace(self, **fields: Any) -> "Corpus":
        """The same corpus with another `fold` held out."""
        ...


class Placed(NamedTuple):
    """A clip and its part in the corpus.

    Attributes:
        clip: the clip.
        split: `train`, `validation` or `test`; None where that depends on the fold that is held out.
        fold: the fold that holds it out; None where there is no such one.
    """

    clip: Clip
    split: str | None
    fold: int | None

    @property
    def part(self) -> str:
        """The split or the fold, in words."""
        return self.split or f"fold {self.fold}"


class Measured(NamedTuple):
    """What was found out about a clip.

    Attributes:
        seconds: its length; None where the file does not say it and it was not decoded.
        sample_rate: Hz, of the file; None if it cannot be read.
        error: why it cannot be read, with its file; None if it can.
    """

    seconds: float | None = None
    sample_rate: int | None = None
    error: str | None = None


class Summary(NamedTuple):
    """An archive in numbers.

    Attributes:
        parts: clips by split or fold, the splits first.
        classes: clips by class and part; every class of the corpus is there.
        unknown: clips by class of which nobody knows whether it is heard.
        seconds: lengths of all clips that say theirs, ascending.
        rates: clips by sample rate in Hz.
        failed: why clips cannot be read.
    """

    parts: Counter[str]
    classes: dict[str, Counter[str]]
    unknown: Counter[str]
    seconds: list[float]
    rates: Counter[int]
    failed: list[str]


def place(corpus: Corpus, root: Path) -> tuple[Split, list[Placed]]:
    """Read a corpus with all of its folds.

    Args:
        corpus: what to read.
        root: its folder.

    Returns:
        The split as the corpus describes it, and all of its clips: training, validation, test.

    Raises:
        ConfigError: the archive is not of the corpus's form.
    """
    if hasattr(corpus, "resolved"):  # a table says itself how many folds it has
        corpus = corpus.resolved(root)  # pyright: ignore[reportAttributeAccessIssue]  (only some have it)
    split = corpus.read(root)
    has_splits = getattr(corpus, "fold", None) is None  # these decide, whatever folds it names besides
    folds = {} if has_splits else _folds(corpus, root)
    parts = zip(SPLITS, (split.train, split.validation, split.test), strict=True)
    placed: list[Placed] = []
    for name, clips in parts:
        for clip in clips:
            held_out = folds.get(clip, [])
            fold = held_out[0] if len(held_out) == 1 else None
            placed.append(Placed(clip, name if fold is None else None, fold))
    if not placed:
        raise ConfigError(f"{root} holds no clips")
    return split, placed


def _folds(corpus: Corpus, root: Path) -> dict[Clip, list[int]]:
    """By clip, the folds that hold it out."""
    folds: dict[Clip, list[int]] = {}
    numbers: Sequence[int] = getattr(corpus, "folds", None) or range(1, corpus.n_folds + 1)
    for fold in numbers:
        for clip in corpus.replace(fold=fold).read(root).test:
            folds.setdefault(clip, []).append(fold)
    return folds


def probe(clip: Clip) -> Measured:
    """Read a clip's header; nothing is decoded, so that damage behind the header goes unnoticed."""
    place = Place(os.fspath(clip.path), clip.row, 0, None)
    try:
        info = audio.probe(encoded(place))
    except audio.AudioError as error:
        return Measured(error=f"{audio.displayable(place.name)}: {error.reason}")
    return within(clip, Measured(info.seconds, info.sample_rate))


def within(clip: Clip, found: Measured) -> Measured:
    """What holds for the clip if this holds for its file: its own length, or that it lies beyond the end.

    Example:
        >>> within(Clip(Path("a.wav"), (), start=2.0, end=4.5), Measured(10.0, 16000)).seconds
        2.5
        >>> within(Clip(Path("a.wav"), (), start=12.0), Measured(10.0, 16000)).error
        'a.wav: the clip begins at 12 s but the file has 10 s'
    """
    if found.error is not None or found.seconds is None:
        return found
    if clip.start >= found.seconds:
        path = audio.displayable(clip.path)
        return Measured(
            error=f"{path}: the clip begins at {clip.start:g} s but the file has {found.seconds:g} s"
        )
    end = found.seconds if clip.end is None else min(clip.end, found.seconds)
    return found._replace(seconds=end - clip.start)


def measure(clips: Sequence[Clip], workers: int) -> Iterator[Measured]:
    """Read the headers of clips, in their order; see `probe`.

    Args:
        clips: which.
        workers: threads; reading waits for the disk most of the time.
    """
    waiting = iter(clips)
    with ThreadPoolExecutor(workers) as pool:
        while batch := list(islice(waiting, AT_ONCE)):
            yield from pool.map(probe, batch)


def decode(clips: Sequence[Clip], workers: int, timeout: float = 60.0) -> Iterator[Measured]:
    """Decode clips to their ends, in their order; what is wrong with one behind its header shows only here.

    Args:
        clips: which.
        workers: processes, as a bad file may crash a decoder or keep it for ever; 0 decodes in this one.
        timeout: seconds without progress after which a clip is given up.
    """
    pool = processes(workers, timeout)
    with nullcontext() if pool is None else closing(pool):
        coming = decode_ahead(Places(clips, DECODE_RATE), DECODE_RATE, pool)
        for clip, decoding, header in zip(clips, coming, measure(clips, max(1, workers)), strict=True):
            try:
                count = sum(len(block) for block in decoding.blocks())
            except audio.AudioError as error:
                yield Measured(error=str(error))
                continue
            if count:
                yield Measured(count / DECODE_RATE, header.sample_rate)
            else:
                yield Measured(error=f"{audio.displayable(clip.path)}: {NOTHING_THERE}")


def summarize(labels: LabelSet, placed: Sequence[Placed], measured: Sequence[Measured]) -> Summary:
    """Count an archive's clips; those that cannot be read count as well.

    Args:
        labels: the corpus's classes.
        placed: the clips.
        measured: what was found out about each.
    """
    summary = Summary(Counter(), {name: Counter() for name in labels.names}, Counter(), [], Counter(), [])
    for one, found in zip(placed, measured, strict=True):
        summary.parts[one.part] += 1
        for name in one.clip.labels:
            summary.classes.setdefault(name, Counter())[one.part] += 1
        summary.unknown.update(one.clip.unknown)
        if found.seconds is not None:
            summary.seconds.append(found.seconds)
        if found.sample_rate is not None:
            summary.rates[found.sample_rate] += 1
        if found.error is not None:
            summary.failed.append(found.error)
    summary.seconds.sort()
    folds = sorted(set(summary.parts) - set(SPLITS), key=lambda part: (len(part), part))
    parts = [part for part in (*SPLITS, *folds) if part in summary.parts]
    return summary._replace(parts=Counter({part: summary.parts[part] for part in parts}))
