"""Who says what there is to guess: a slow copy of the student, or the student itself."""

from typing import Annotated

import torch
from pydantic import Field, model_validator

from earmark.config import Frozen
from earmark.encoders.dbert import DBERTEncoder
from earmark.training.optimizing.optimizer import train_mode
from earmark.training.pretraining.features import Features, Sound, features_of

Decay = Annotated[float, Field(ge=0, le=1)]


class SlowCopy(Frozen):
    """A teacher that is an exponential average of the student.

    Attributes:
        decay: share of the teacher that stays at each update of the student, at first.
        last_decay: at last.
        steps: updates of the student from the first to the last; in between it grows linearly.

    Source:
        As in BYOL (Grill et al., arXiv:2006.07733) and data2vec (Baevski et al., arXiv:2202.03555).
    """

    decay: Decay = 0.999
    last_decay: Decay = 0.9999
    steps: int = Field(default=30_000, ge=1, le=1_000_000_000)

    @model_validator(mode="after")
    def _check(self) -> "SlowCopy":
        if self.last_decay < self.decay:
            raise ValueError(
                f"teacher.decay is {self.decay:g} but teacher.last_decay is {self.last_decay:g}; the teacher "
                "slows down, so give a last_decay that is not less"
            )
        return self

    def decay_at(self, updates: int) -> float:
        """The decay after so many updates of the student.

        Example:
            >>> [round(SlowCopy().decay_at(n), 6) for n in (0, 15_000, 30_000, 90_000)]
            [0.999, 0.99945, 0.9999, 0.9999]
        """
        return self.decay + (self.last_decay - self.decay) * min(1.0, updates / self.steps)


class Teacher:
    """Gives the features that are clustered, without dropout, masks or gradients.

    Args:
        student: the encoder that learns.
        config: how the teacher follows; None: the student is its own teacher, which lets it make its own
            task trivial.
    """

    def __init__(self, student: DBERTEncoder, config: SlowCopy | None) -> None:
        self.student, self.config = student, config
        self.encoder = student
        if config is not None:
            device = next(student.parameters()).device
            self.encoder = student.config.build().to(device).requires_grad_(False).eval()
            self.encoder.load_state_dict(student.state_dict())

    @torch.no_grad()
    def features(self, sound: Sound) -> Features:
        """Features of a batch."""
        if self.config is not None:
            return features_of(self.encoder, sound)
        learning = self.encoder.training
        self.encoder.eval()
        found = features_of(self.encoder, sound)
        if learning:
            train_mode(self.encoder)
        return found

    @torch.no_grad()
    def follow(self, updates: int) -> None:
        """Move towards the student.

        Args:
            updates: of the student, before this one.
        """
        if self.config is None:
            return
        share = 1 - self.config.decay_at(updates)
        learned = self.student.state_dict()
        for name, tensor in self.encoder.state_dict().items():
            tensor.lerp_(learned[name], share)
