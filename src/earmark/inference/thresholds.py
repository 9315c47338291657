"""A threshold for each label, chosen by `earmark evaluate`, and the calibration that goes with them."""

import os
from pathlib import Path

import numpy as np
from jaxtyping import Float
from pydantic import Field, model_validator

from earmark.audio import displayable
from earmark.config import ConfigError, Frozen

FILE = "thresholds.json"
"""How the file is called in the folder of a report or of a run."""

AUTO = "auto"
"""Instead of a file: the one that lies beside the model."""

MOST_BYTES = 64 * 1024**2


class Thresholds(Frozen):
    """From which score on each label is given.

    Attributes:
        labels: the labels that thresholds were chosen for.
        values: a threshold for each, 0 to 1; None for a label that is never given, as no threshold reached
            the precision that was asked for.
        default: the threshold of all other labels.
        temperature: what the logits behind the scores are divided by before a score is compared or shown; 1
            leaves them as they are.
        rule: what the thresholds make largest, in words.
        chosen_on: which clips they were chosen on, in words.

    Example:
        >>> chosen = Thresholds(labels=("Dog", "Rain"), values=(0.4, None), default=0.5)
        >>> chosen.of(("Dog", "Rain", "Wind"))
        array([0.4, inf, 0.5])
    """

    labels: tuple[str, ...]
    values: tuple[float | None, ...]
    default: float = Field(default=0.5, ge=0, le=1)
    temperature: float = Field(default=1.0, gt=0, le=100)
    rule: str = ""
    chosen_on: str = ""

    @model_validator(mode="after")
    def _check(self) -> "Thresholds":
        if len(self.labels) != len(self.values):
            raise ValueError(
                f"{len(self.values)} thresholds for {len(self.labels)} labels; give one for each"
            )
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("a label stands twice among the thresholds")
        for label, value in zip(self.labels, self.values, strict=True):
            if value is not None and not 0 <= value <= 1:
                raise ValueError(
                    f"the threshold of {label!r} is {value}; scores are probabilities, give 0 to 1"
                )
        return self

    def of(self, names: tuple[str, ...]) -> Float[np.ndarray, "class"]:
        """The thresholds of a model's labels; infinite for those that are never given.

        Raises:
            ConfigError: the model does not have all labels that thresholds were chosen for.
        """
        strange = [label for label in self.labels if label not in names]
        if strange:
            raise ConfigError(
                f"the thresholds are for {len(self.labels)} labels, of which the model lacks "
                f"{len(strange)}, first "
                f"{strange[0]!r}; take those that were chosen for this model"
            )
        chosen = dict(zip(self.labels, self.values, strict=True))
        values = [chosen.get(name, self.default) for name in names]
        return np.array([np.inf if value is None else value for value in values], dtype=float)


def calibrated(
    scores: Float[np.ndarray, "*clip class"], temperature: float, exclusive: bool
) -> Float[np.ndarray, "*clip class"]:
    """The probabilities that a model would give if its logits were divided by a temperature.

    They are computed from the probabilities themselves, so that it does not matter over how many windows of
    a sound these were averaged.

    Args:
        scores: probabilities of all labels of the model.
        temperature: above 1 makes them less sure, below 1 surer.
        exclusive: they are those of labels that exclude one another, and add up to 1.

    Source:
        Guo et al., arXiv:1706.04599, temperature scaling.

    Example:
        >>> calibrated(np.array([0.2, 0.8]), 2.0, exclusive=True)
        array([0.33333333, 0.66666667])
    """
    if temperature == 1.0:
        return scores
    held = scores.astype(np.float64).clip(0, 1) ** (1 / temperature)
    if exclusive:
        return held / held.sum(axis=-1, keepdims=True)
    return held / (held + (1 - scores.astype(np.float64).clip(0, 1)) ** (1 / temperature))


def read_thresholds(path: str | os.PathLike[str]) -> Thresholds:
    """Read a file of thresholds, or the one in a folder.

    Raises:
        ConfigError: there is none, or it is damaged.
    """
    file = Path(path) / FILE if Path(path).is_dir() else Path(path)
    try:
        if file.stat().st_size > MOST_BYTES:
            raise ConfigError(f"{displayable(file)}: is too large for a file of thresholds")
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        reason = getattr(error, "strerror", None) or "is no text"
        raise ConfigError(
            f"threshold {displayable(path)!r} is neither a number from 0 to 1 nor a file of thresholds "
            f"({reason}); "
            "`earmark evaluate MODEL --data ... --out FOLDER` writes one"
        ) from None
    try:
        return Thresholds.from_json(text)
    except ConfigError as error:
        raise ConfigError(f"{displayable(file)}: {error}") from None
