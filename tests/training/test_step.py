"""A step is made whole or not at all."""

import copy

import pytest
import torch
from tone_recipe import TINY

from earmark.models import Tagger
from earmark.training import Settings
from earmark.training.distributing.network import network_of, wrapped
from earmark.training.distributing.world import World
from earmark.training.optimizing.optimizer import make_optimizer, train_mode
from earmark.training.speed import made_up
from earmark.training.supervised.feed import Batch
from earmark.training.supervised.learner import Learner

HALF = TINY.replace(precision="fp16")
PLACE = World(0, 1, torch.device("cpu"))


def learner(model: Tagger, scale: float) -> Learner:
    train_mode(model)
    network = network_of(model, PLACE, Settings())
    optimizer = make_optimizer(model, HALF.optimizer)
    made = Learner(HALF, model, optimizer, PLACE, wrapped(network, PLACE, Settings()))
    made.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    return made


def model() -> Tagger:
    torch.manual_seed(0)
    return HALF.model.build()


@pytest.fixture
def batch() -> Batch:
    return made_up(HALF, PLACE)


def test_a_gradient_too_large_for_fp16_is_computed_again_and_no_step_is_lost(batch: Batch) -> None:
    fits, overflows = learner(model(), 2.0**8), learner(model(), 2.0**40)
    first, second = (one.step(batch, 0, 0, None) for one in (fits, overflows))
    assert first.applied
    assert second.applied
    assert overflows.scaler.get_scale() < 2.0**40
    assert second.loss == first.loss
    for one, other in zip(fits.model.parameters(), overflows.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-3, rtol=1e-3)
    buffers = zip(fits.model.buffers(), overflows.model.buffers(), strict=True)
    assert all(torch.equal(one, other) for one, other in buffers)  # batch norms saw the batch once


def test_a_step_that_is_not_finite_changes_neither_weights_nor_statistics_nor_scale(batch: Batch) -> None:
    made = learner(model(), 2.0**8)
    made.step(batch, 0, 0, None)
    before = copy.deepcopy(made.model.state_dict())
    broken = batch._replace(targets=torch.full_like(batch.targets, float("inf")))
    assert not made.step(broken, 0, 1, None).applied
    after = made.model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert made.scaler.get_scale() == 2.0**8
    assert made.step(batch, 0, 2, None).applied


@pytest.mark.parametrize("micro_batch", [2, 3, 5, 100])
def test_parts_of_a_batch_have_each_clip_once(micro_batch: int, batch: Batch) -> None:
    heard: list[int] = []
    made = learner(model(), 2.0**8)
    losses = made.losses

    def listen(part: Batch, epoch: int, number: int, index: int) -> torch.Tensor:
        heard.extend(part.places)
        return losses(part, epoch, number, index)

    made.losses = listen  # type: ignore[method-assign]
    made.step(batch, 0, 0, micro_batch)
    assert heard == batch.places
