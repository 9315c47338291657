"""Learning from a teacher: targets that are part label, part what a better model says."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from pydantic import Field
from torch import Tensor

from earmark.config import ConfigError, Frozen
from earmark.models import Tagger

ROWS = 65536
"""Rows of stored logits that are looked at together."""


class Distillation(Frozen):
    """How much is learned from a teacher.

    Attributes:
        share: of the teacher in the loss; the labels have the rest.
        temperature: that the teacher's logits are divided by.
    """

    share: float = Field(default=0.9, ge=0, le=1)
    temperature: float = Field(default=1.0, gt=0, le=1000)


def blend(
    targets: Float[Tensor, "*batch class"],
    teacher: Float[Tensor, "*batch class"],
    config: Distillation,
    exclusive: bool,
) -> Float[Tensor, "*batch class"]:
    """Targets with which the plain loss is that of distillation.

    Both losses are linear in the target: (1 - s) loss(labels) + s loss(teacher) is the loss of the blend.  As
    mixup mixes targets linearly, too, blend first and mix then.

    Args:
        targets: labels, as probabilities.
        teacher: its logits for the same sounds.
        config: the share s and the temperature.
        exclusive: the label set's bit: softmax, or a sigmoid for each label.

    Source:
        PaSST's training code, branch `kd_dev`: 0.1 BCE of the labels and 0.9 BCE of the teacher.  Where
        labels exclude one another the teacher's part is the KL divergence from it, but for its own entropy,
        which has no gradient.

    Example:
        >>> blend(torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2), Distillation(), exclusive=False)
        tensor([[0.5500, 0.4500]])
    """
    soft = teacher / config.temperature
    probabilities = soft.softmax(dim=-1) if exclusive else soft.sigmoid()
    return torch.lerp(targets, probabilities.to(targets), config.share)


class StoredTeacher:
    """Logits of a teacher, stored for each training clip.

    The file is mapped, not read: two million rows of 527 classes are four gigabytes.

    Args:
        path: an `.npy` file of floating-point numbers; row i belongs to clip i of the corpus's training part.
        clips: how many clips that has.
        classes: how many labels.

    Raises:
        ConfigError: the file is missing, is none, has another shape, or numbers that are not finite.
    """

    def __init__(self, path: Path, clips: int, classes: int) -> None:
        self.path = path
        self.logits = _mapped(path)
        if self.logits.ndim != 2 or self.logits.shape != (clips, classes):
            raise ConfigError(
                f"{path} holds numbers of shape {self.logits.shape} but there are {clips} training clips and "
                f"{classes} labels; it needs one row for each clip, in the corpus's order, and one column "
                "for each label"
            )
        if self.logits.dtype.kind != "f":
            raise ConfigError(
                f"{path} holds {self.logits.dtype}; a teacher's logits are floating-point numbers"
            )
        for start in range(0, clips, ROWS):
            finite = np.isfinite(self.logits[start : start + ROWS]).all(axis=1)
            if not finite.all():
                row = start + int(np.argmin(finite))
                raise ConfigError(f"{path}: row {row} is not finite; compute the logits of that clip again")

    def row(self, index: int) -> Float32[np.ndarray, "class"]:
        """The logits of a clip."""
        return self.logits[index].astype(np.float32)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path}  # a process that reads clips maps the file itself

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.path = state["path"]
        self.logits = _mapped(self.path)


class Teacher:
    """A teacher that hears the very same waveforms as its student.

    Args:
        model: the teacher.
        student: its sample rate, labels and length of clips are what the teacher must be able to serve.
        config: how much is learned from it.

    Raises:
        ConfigError: it cannot; the sentence says why.
    """

    def __init__(self, model: Tagger, student: Tagger, config: Distillation) -> None:
        if model.labels.names != student.labels.names:
            raise ConfigError(
                f"the teacher has {len(model.labels)} labels and the student {len(student.labels)}, or "
                "others, or in another order; take a teacher with the same labels"
            )
        if not model.has_head:
            raise ConfigError("the teacher has no head and gives embeddings only; take one that tags")
        if model.sample_rate != student.sample_rate:
            raise ConfigError(
                f"the teacher hears {model.sample_rate} Hz and the student {student.sample_rate} Hz; take a "
                "teacher of the same rate, or store its logits and give them as a file"
            )
        if model.clip_seconds < student.clip_seconds:
            raise ConfigError(
                f"the teacher hears {model.clip_seconds:g} s and the student's clips have "
                f"{student.clip_seconds:g} s; take shorter clips, or another teacher"
            )
        self.model = model.eval().requires_grad_(False)
        self.config = config

    @torch.no_grad()
    def blend(
        self, targets: Float[Tensor, "batch class"], waveform: Float[Tensor, "batch sample"]
    ) -> Float[Tensor, "batch class"]:
        """Targets of waveforms, as they are before their features are mixed; see the function `blend`."""
        logits = self.model(self.model.padded(waveform))
        return blend(targets, logits, self.config, self.model.labels.exclusive)


def _mapped(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ConfigError(f"{path} cannot be read as stored logits, an .npy file ({error})") from None
