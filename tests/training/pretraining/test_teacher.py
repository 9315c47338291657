"""The teacher."""

import pytest
import torch
from tiny_dbert import ENCODER, crops

from earmark.config import ConfigError
from earmark.training.pretraining.features import Sound
from earmark.training.pretraining.teacher import SlowCopy, Teacher

SOUND = Sound(crops(0, clips=2).waveform[:, None], None)


def moved(student: torch.nn.Module) -> None:
    with torch.no_grad():
        for parameter in student.parameters():
            parameter += 1


def test_the_teacher_begins_as_the_student_and_moves_by_one_minus_the_decay() -> None:
    student = ENCODER.build()
    teacher = Teacher(student, SlowCopy(decay=0.75, last_decay=1.0, steps=2))
    begun = {name: tensor.clone() for name, tensor in student.state_dict().items()}
    moved(student)
    for updates, expected in ((0, 0.25), (1, 0.25 + 0.75 * 0.125), (2, 0.25 + 0.75 * 0.125)):
        teacher.follow(updates)
        for name, tensor in teacher.encoder.state_dict().items():
            torch.testing.assert_close(tensor, begun[name] + expected)


def test_the_teacher_gets_no_gradient_and_no_dropout() -> None:
    student = ENCODER.build().train()
    teacher = Teacher(student, SlowCopy())
    first, second = teacher.features(SOUND), teacher.features(SOUND)
    assert all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
    assert not any(one.requires_grad for one in first)
    assert not any(parameter.requires_grad for parameter in teacher.encoder.parameters())


def test_without_a_teacher_the_students_clean_features_are_given_and_it_goes_on_learning() -> None:
    student = ENCODER.build().train()
    teacher = Teacher(student, None)
    before = teacher.features(SOUND)
    assert student.training
    assert all(module.training for module in student.modules())
    moved(student)
    teacher.follow(0)
    assert not torch.equal(teacher.features(SOUND).output, before.output)
    assert torch.equal(teacher.features(SOUND).output, teacher.features(SOUND).output)


def test_a_teacher_that_speeds_up_is_refused() -> None:
    with pytest.raises(ConfigError, match="slows down"):
        SlowCopy(decay=0.9999, last_decay=0.999)
