"""What a model says of labelled clips, kept apart from how it is counted."""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from earmark.audio import AudioError, displayable
from earmark.audio.pool import Pool
from earmark.config import ConfigError
from earmark.data import Clip
from earmark.data.feeding.sounds import open_sounds, waveform
from earmark.inference.hearing import Give
from earmark.inference.pipeline import run_through
from earmark.inference.placing import Hearer, on_arrays
from earmark.inference.settings import Cut, Run
from earmark.inference.sources import Item, item_of
from earmark.labels import LabelSet

Scores = Float[np.ndarray, "clip label"]
Flags = Bool[np.ndarray, "clip class"]


class Predictions(NamedTuple):
    """Scores of clips beside what is true of them.

    Attributes:
        names: of the clips: their paths from the folder that holds them all, with seconds where they are
            stretches of a file.
        groups: of the clips: those of one file belong together, and are drawn together by the bootstrap.
        logits: what the model computes, averaged over the windows of a clip; 0 for clips that failed.
        scores: the probabilities that `earmark tag` gives, likewise.
        targets: where the classes of the corpus hold.
        known: where that is known.
        heard: the clips that could be heard.
        labels: what the model calls its logits.
        classes: the corpus's labels, all of them among the model's.
        failures: a sentence for each clip that could not be heard.
        about: plain JSON values: model, corpus, split, fold, as far as the maker knew.
    """

    names: tuple[str, ...]
    groups: tuple[str, ...]
    logits: Scores
    scores: Scores
    targets: Flags
    known: Flags
    heard: Bool[np.ndarray, "clip"]
    labels: LabelSet
    classes: LabelSet
    failures: tuple[str, ...]
    about: dict[str, Any]

    @property
    def columns(self) -> list[int]:
        """The places of the corpus's classes among the model's labels."""
        place = {name: index for index, name in enumerate(self.labels.names)}
        return [place[name] for name in self.classes.names]

    def within(self) -> "Predictions":
        """The same, with the model's scores for the corpus's classes only."""
        if self.labels.names == self.classes.names:
            return self
        labels = LabelSet(names=self.classes.names, exclusive=self.labels.exclusive)
        columns = self.columns
        return self._replace(logits=self.logits[:, columns], scores=self.scores[:, columns], labels=labels)

    def of_heard(self) -> "Predictions":
        """The same, without the clips that failed."""
        return self if self.heard.all() else self.take(np.flatnonzero(self.heard).tolist())

    def take(self, clips: Sequence[int]) -> "Predictions":
        """Some of the clips."""
        rows = list(clips)
        return self._replace(
            names=tuple(self.names[row] for row in rows),
            groups=tuple(self.groups[row] for row in rows),
            logits=self.logits[rows],
            scores=self.scores[rows],
            targets=self.targets[rows],
            known=self.known[rows],
            heard=self.heard[rows],
        )


def predict(
    model: Hearer,
    clips: Sequence[Clip],
    classes: LabelSet,
    run: Run | None = None,
    about: dict[str, Any] | None = None,
    watch: Callable[[float], None] | None = None,
) -> Predictions:
    """Hear clips through the very path that users take, once.

    Args:
        model: one model or an ensemble; its labels must contain those of the corpus.
        clips: what to hear, with what is true of it.
        classes: the corpus's labels.
        run: where and how it computes.
        about: is kept beside the scores.
        watch: is told the length of each clip, in seconds, when it is done.

    Raises:
        ConfigError: there are no clips, or the model does not know a label of the corpus.
    """
    if not clips:
        raise ConfigError("there are no held-out clips; check the folder and the fold")
    for name in classes.names:
        model.labels.index(name)
    run = run or Run()
    n_labels = len(model.labels)
    both = np.zeros((len(clips), 2 * n_labels), dtype=np.float32)
    heard = np.ones(len(clips), dtype=bool)
    failures: list[str] = []
    workers = run.decoders(many=len(clips) > 1)
    with Pool(workers, run.timeout) if workers else nullcontext() as pool:
        give = on_arrays(model, Give(lambda heard_now: _both(model, heard_now), 2 * n_labels))
        items = items_of(clips, model.sample_rate)
        for row, outcome in enumerate(run_through(items, model, give, cut=Cut(), run=run, pool=pool)):
            if outcome.error is not None:
                failures.append(str(outcome.error))
                heard[row] = False
            else:
                both[row] = outcome.rows[0].mean()
            if watch is not None:
                watch(outcome.samples / model.sample_rate)
    names = clip_names(clips)
    targets, known = truth(clips, classes)
    return Predictions(
        names=names,
        groups=tuple(name.partition("#")[0] for name in names),
        logits=both[:, :n_labels],
        scores=both[:, n_labels:],
        targets=targets,
        known=known,
        heard=heard,
        labels=model.labels,
        classes=classes,
        failures=tuple(failures),
        about=about or {},
    )


def truth(clips: Sequence[Clip], classes: LabelSet) -> tuple[Flags, Flags]:
    """Where the classes hold, and where that is known.

    Example:
        >>> clip = Clip(Path("a.wav"), ("Dog",), unknown=("Rain",))
        >>> truth([clip], LabelSet(names=("Dog", "Rain")))
        (array([[ True, False]]), array([[ True, False]]))
    """
    place = {name: index for index, name in enumerate(classes.names)}
    targets = np.zeros((len(clips), len(place)), dtype=bool)
    known = np.ones(targets.shape, dtype=bool)
    for row, clip in enumerate(clips):
        targets[row, [place[name] for name in clip.labels]] = True
        known[row, [place[name] for name in clip.unknown]] = False
    return targets, known


def clip_names(clips: Sequence[Clip]) -> tuple[str, ...]:
    """Names for clips that do not tell where on this machine they lie.

    Example:
        >>> clip_names([Clip(Path("a/x.wav"), ()), Clip(Path("a/b/y.wav"), (), start=1.0, end=2.5)])
        ('x.wav', 'b/y.wav#1-2.5')
    """
    try:
        folder = os.path.commonpath([clip.path.parent for clip in clips])
    except ValueError:  # some are absolute, some are not
        folder = ""
    return tuple(displayable(_from(clip.path, folder)) + _stretch(clip) for clip in clips)


def _from(path: Path, folder: str) -> str:
    return path.relative_to(folder).as_posix() if folder else path.as_posix()


def _stretch(clip: Clip) -> str:
    if clip.row is not None:
        return f"#{clip.row}"
    if clip.start == 0.0 and clip.end is None:
        return ""
    return f"#{clip.start:g}-{'' if clip.end is None else f'{clip.end:g}'}"


def _both(model: Hearer, waveforms: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch both"]:
    logits = model(waveforms).float()
    return torch.cat([logits, model.probabilities(logits)], dim=1)


def items_of(clips: Sequence[Clip], rate: int) -> Iterator[Item]:
    """Clips as inference takes them: whole files by name; of others the stretch or the row, decoded in turn.

    Args:
        clips: what to hear.
        rate: of stretches and rows, in Hz.
    """
    whole = [clip.row is None and clip.start == 0.0 and clip.end is None for clip in clips]
    sounds = None if all(whole) else open_sounds(clips, rate)
    for index, clip in enumerate(clips):
        if sounds is None or whole[index]:
            yield item_of(clip.path)
            continue
        name = displayable(clip.path) + _stretch(clip)
        try:
            samples = waveform(sounds, index)
        except AudioError as error:
            yield Item(name, None, error.reason)
        else:
            yield Item(name, (samples, rate))
