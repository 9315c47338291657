"""The rate over a run; that curves agree with recorded ones is tested among the recordings."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from earmark.config import ConfigError
from earmark.training.optimizing import curves
from earmark.training.optimizing.schedule import (
    Constant,
    Cosine,
    CosineCycle,
    ExpWarmupLinear,
    ScheduleConfig,
    Steps,
)

ALL = [
    Constant(),
    Cosine(),
    CosineCycle(),
    ExpWarmupLinear(),
    Steps(milestones=(2, 3, 4)),
    Steps(warmup=0, milestones=tuple(range(5, 27)), gamma=0.85),
]


@given(st.sampled_from(ALL), st.integers(1, 300), st.integers(1, 140), st.floats(0, 0.999999))
@settings(max_examples=150, deadline=None)
def test_every_schedule_stays_between_nothing_and_the_full_rate(
    schedule: Constant | Cosine | CosineCycle | ExpWarmupLinear | Steps, steps: int, epochs: int, place: float
) -> None:
    factor = schedule.factor(int(place * steps * epochs), steps, epochs)
    assert 0 <= factor <= 1


def test_the_default_of_passt_follows_the_published_formula() -> None:
    def formula(e: int) -> float:
        rise = math.exp(-5 * (1 - max(e, 0.5) / 5) ** 2) if e < 5 else 1.0
        fall = 1.0 if e <= 50 else 0.01 + 0.99 * (50 - e + 50) / 50 if e < 100 else 0.01
        return rise * fall

    for epoch in range(130):
        for step in (0, 6):
            factor = ExpWarmupLinear().factor(7 * epoch + step, 7, 130)
            assert factor == pytest.approx(formula(epoch), abs=1e-12)


def test_astdr_rises_in_stairs_of_fifty_steps_and_halves_at_its_milestones() -> None:
    schedule = Steps(milestones=tuple(range(2, 11)))
    for step in range(0, 4000, 7):
        expected = step // 50 * 50 / 1000 if step <= 1000 else 1.0
        assert schedule.factor(step, 5000, 10) == pytest.approx(expected)
    epochs = [schedule.factor(5000 * epoch + 4999, 5000, 10) for epoch in range(10)]
    assert epochs == [1, 1, *[0.5**n for n in range(1, 9)]]


def test_esc50_and_speech_commands_fall_from_the_sixth_epoch_on_without_a_rise() -> None:
    schedule = Steps(warmup=0, milestones=tuple(range(5, 27)), gamma=0.85)
    epochs = [schedule.factor(epoch, 1, 25) for epoch in range(25)]
    assert epochs[:5] == [1.0] * 5
    assert epochs[24] == pytest.approx(0.85**20)


def test_a_cosine_rises_by_step_and_falls_to_nearly_nothing() -> None:
    factors = [Cosine(warmup=0.1).factor(step, 10, 10) for step in range(100)]
    assert factors[:10] == pytest.approx([(i + 1) / 10 for i in range(10)])
    assert factors == sorted(factors[:10]) + sorted(factors[10:], reverse=True)
    assert factors[-1] < 0.001


@given(st.integers(1, 30), st.integers(0, 200), st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_a_cycle_has_its_trough_at_its_ends_and_ends_on_one(cycle: int, start: int, last: float) -> None:
    even = 2 * cycle
    stop = even + (start - 1) // even * even
    assert curves.cosine_cycle(0, even, start, last) == pytest.approx(last)
    assert curves.cosine_cycle(stop, even, start, last) == pytest.approx(last)
    assert curves.cosine_cycle(stop + 0.5 * cycle, even, start, last) == last
    assert stop >= start > stop - 2 * even


def test_milestones_that_do_not_rise_are_a_sentence() -> None:
    with pytest.raises(ConfigError, match="do not rise"):
        Steps(milestones=(3, 3))


def test_a_tree_of_an_earlier_version_is_a_cosine() -> None:
    adapter = TypeAdapter(ScheduleConfig)
    assert adapter.validate_python({"warmup": 0.2}) == Cosine(warmup=0.2)
    for schedule in ALL:
        assert adapter.validate_python(schedule.to_dict()) == schedule
