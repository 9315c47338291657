"""What is asked for, and where it runs; checked once, at the door."""

import os
from collections.abc import Sequence
from typing import Literal, TypedDict, cast

import numpy as np
from jaxtyping import Float
from pydantic import Field, model_validator

from earmark.config import Frozen
from earmark.inference.thresholds import Thresholds

MOST_SECONDS = 7 * 86400

Place = int | Literal["bands", "end"]
Pooling = Literal["summary", "mean", "mean+deviation"]


class Cut(Frozen):
    """How a file becomes rows.

    Attributes:
        window: seconds of audio in a row; None for one row that holds the whole file.
        hop: seconds from the start of one row to the start of the next; the window if None.

    Example:
        >>> Cut(window=2.0).hop_seconds
        2.0
        >>> Cut(hop=1.0)
        Traceback (most recent call last):
        earmark.config.ConfigError: hop is 1.0 but no window is given; give a window in seconds too
    """

    window: float | None = None
    hop: float | None = None

    @model_validator(mode="after")
    def _check_cut(self) -> "Cut":
        for name, value in (("window", self.window), ("hop", self.hop)):
            if value is not None and not (0 < value <= MOST_SECONDS):
                raise ValueError(f"{name} is {value}; give seconds above 0, at most {MOST_SECONDS} (a week)")
        if self.window is None and self.hop is not None:
            raise ValueError(f"hop is {self.hop} but no window is given; give a window in seconds too")
        return self

    @property
    def hop_seconds(self) -> float | None:
        """Seconds from row to row; None where there is one row."""
        return self.window if self.hop is None else self.hop


class TagSettings(Cut):
    """What a tagging run shall give.

    Attributes:
        top: at most so many tags in a row, best first.
        threshold: tags of a lower score are left out, 0 to 1.
        chosen: a threshold for each label and a calibration, instead of the one threshold.
    """

    top: int = 5
    threshold: float = 0.0
    chosen: Thresholds | None = None

    @model_validator(mode="after")
    def _check_tags(self) -> "TagSettings":
        if self.top < 1:
            raise ValueError(f"top is {self.top}; give 1 or more")
        if not 0 <= self.threshold <= 1:
            raise ValueError(f"threshold is {self.threshold}; scores are probabilities, give 0 to 1")
        return self

    def scores_from(self, names: tuple[str, ...]) -> Float[np.ndarray, "class"]:
        """From which score on each of a model's labels is given.

        Raises:
            ConfigError: thresholds were chosen for labels that the model does not have.
        """
        return np.full(len(names), self.threshold) if self.chosen is None else self.chosen.of(names)


class EventSettings(Cut):
    """What makes an event of the scores of windows or frames.

    Attributes:
        window: seconds that a score is of; None for the model's frames, where it has scores of them, and else
            for 1.
        hop: seconds from one score to the next; of None a quarter of a second with window None, else the
            window.
        threshold: an event reaches this score, 0 to 1.
        chosen: a threshold for each label and a calibration, instead of the one threshold.
        off_threshold: it lasts as long as scores stay at this or above; None for half of each threshold.
        median: seconds; scores are smoothed by a median over those whose centers are within half of it.
        min_duration: seconds; shorter events are left out.
        min_gap: seconds; events of a label with a shorter gap between them are one.

    Example:
        >>> EventSettings(threshold=0.3, off_threshold=0.4)
        Traceback (most recent call last):
        earmark.config.ConfigError: off_threshold is 0.4 but threshold is 0.3; give at most the threshold
    """

    threshold: float = Field(default=0.5, ge=0, le=1)
    chosen: Thresholds | None = None
    off_threshold: float | None = Field(default=None, ge=0, le=1)
    median: float = Field(default=0.0, ge=0, le=60)
    min_duration: float = Field(default=0.0, ge=0, le=86400)
    min_gap: float = Field(default=0.0, ge=0, le=86400)

    @model_validator(mode="after")
    def _check_events(self) -> "EventSettings":
        if self.window is not None and self.hop is not None and self.hop > self.window:
            raise ValueError(
                f"hop is {self.hop} but window is {self.window}; what lies between windows is not heard, so "
                "events need a hop of at most the window"
            )
        off = self.off_threshold
        if off is not None and self.chosen is None and off > self.threshold:
            raise ValueError(
                f"off_threshold is {off} but threshold is {self.threshold}; give at most the threshold"
            )
        return self

    def scores_from(self, names: tuple[str, ...]) -> Float[np.ndarray, "class"]:
        """The score that an event of each of a model's labels reaches; see `TagSettings.scores_from`."""
        return TagSettings(threshold=self.threshold, chosen=self.chosen).scores_from(names)


class EmbedSettings(Cut):
    """What an embedding run shall give.

    Attributes:
        level: one vector for each row ("clip") or for each encoded frame ("frame").
        mode: the embedding, the logits, or both in one vector, logits first ("all").
        layer: index of the encoder's layer that gives the embedding; None for its end.  Several, "bands" and
            "end" among them, stand behind one another.
        pool: how the frames of a clip become one vector: as the model sums them up, by their mean, or by
            their mean and deviation over time.

    Example:
        >>> EmbedSettings(layer=("bands", 3, "end"), pool="mean").places
        ('bands', 3, 'end')
    """

    level: Literal["clip", "frame"] = "clip"
    mode: Literal["embedding", "logits", "all"] = "embedding"
    layer: int | tuple[Place, ...] | None = None
    pool: Pooling = "summary"

    @model_validator(mode="after")
    def _check_mode(self) -> "EmbedSettings":
        plain = self.level == "clip" and self.layer is None and self.pool == "summary"
        if self.mode != "embedding" and not plain:
            raise ValueError(
                f"mode is {self.mode!r}, but logits are of whole clips and of the encoder's end; leave out "
                "level, layer and pool, or take mode 'embedding'"
            )
        if not self.places or len(set(self.places)) < len(self.places):
            raise ValueError(f"layer is {self.layer}; give one layer or more, each once")
        if self.level == "frame" and (len(self.places) > 1 or self.pool != "summary"):
            raise ValueError(
                "level is 'frame', but layers have frames of their own lengths, and a pool is of clips; "
                "give one layer and no pool, or take level 'clip'"
            )
        return self

    @property
    def places(self) -> tuple[Place, ...]:
        """The layers as several."""
        if self.layer is None:
            return ("end",)
        return (self.layer,) if isinstance(self.layer, int) else self.layer


def as_layer(layer: int | str | Sequence[Place] | None) -> int | tuple[Place, ...] | None:
    """What `EmbedSettings.layer` takes, of all that people write.

    Example:
        >>> as_layer("bands"), as_layer([0, "end"]), as_layer([2]), as_layer(2)
        (('bands',), (0, 'end'), 2, 2)
    """
    if layer is None or isinstance(layer, int):
        return layer
    several = (cast(Place, layer),) if isinstance(layer, str) else tuple(layer)
    return several[0] if len(several) == 1 and isinstance(several[0], int) else several


class Run(Frozen):
    """Where and how a run computes; nothing here changes what comes out.

    Attributes:
        device: such as "cpu" or "cuda"; None leaves a model where it is.
        batch: windows that go through the model together.
        workers: decoder processes; 0 decodes in this process, None chooses by what there is to do.
        timeout: seconds without progress after which a file is given up, up to a day; only with workers.
        on_truncated: "error" refuses files that are cut off, "keep" takes what decodes, with a warning.
    """

    device: str | None = None
    batch: int = 16
    workers: int | None = None
    timeout: float = 60.0
    on_truncated: Literal["error", "keep"] = "error"

    @model_validator(mode="after")
    def _check(self) -> "Run":
        if not 1 <= self.batch <= 65536:
            raise ValueError(f"batch is {self.batch}; give 1 to 65536 windows")
        if self.workers is not None and not 0 <= self.workers <= 256:
            raise ValueError(f"workers is {self.workers}; give 0 (decode in this process) to 256")
        if not 0 < self.timeout <= 86400:
            raise ValueError(f"timeout is {self.timeout}; give seconds above 0, up to 86400 (a day)")
        return self

    def decoders(self, many: bool) -> int:
        """How many decoder processes to start for one file or for many."""
        if os.name != "posix":
            return 0  # time limits rest on poll(), which other systems do not have for pipes
        if self.workers is not None:
            return self.workers
        return min(4, cores()) if many else 1


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class RunOptions(TypedDict, total=False):
    """The fields of `Run` as keyword arguments of `tag` and `embed`."""

    device: str | None
    batch: int
    workers: int | None
    timeout: float
    on_truncated: Literal["error", "keep"]


class EmbedOptions(RunOptions, total=False):
    """All keyword arguments of `embed` but the model."""

    level: Literal["clip", "frame"]
    mode: Literal["embedding", "logits", "all"]
    layer: int | str | Sequence[Place] | None
    pool: Pooling
    window: float | None
    hop: float | None
