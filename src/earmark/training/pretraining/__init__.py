"""Self-supervised pretraining: an encoder learns to guess clusters of features where it hears nothing."""

from earmark.training.pretraining.batch import Crops
from earmark.training.pretraining.generation import Generation
from earmark.training.pretraining.guesser import Guesser
from earmark.training.pretraining.guessing import Student
from earmark.training.pretraining.health import Collapse
from earmark.training.pretraining.learner import PretrainLearner, guesser_of
from earmark.training.pretraining.masking import SpanMask
from earmark.training.pretraining.objective import LITERAL, ClusterGuessing
from earmark.training.pretraining.optimizer import student_optimizer
from earmark.training.pretraining.reassignment import Reassign
from earmark.training.pretraining.seeding import Seeding
from earmark.training.pretraining.standardize import Standardize
from earmark.training.pretraining.teacher import SlowCopy

__all__ = [
    "LITERAL",
    "ClusterGuessing",
    "Collapse",
    "Crops",
    "Generation",
    "Guesser",
    "PretrainLearner",
    "Reassign",
    "Seeding",
    "SlowCopy",
    "SpanMask",
    "Standardize",
    "Student",
    "guesser_of",
    "student_optimizer",
]
