"""Averages of weights; that SWA agrees with recorded averages is tested among the recordings."""

import pytest
import torch
from pydantic import TypeAdapter
from torch import nn

from earmark.config import ConfigError
from earmark.training.optimizing.averaging import EMA, SWA, AveragingConfig, EpochMean, WeightAverage


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.norm = nn.BatchNorm1d(2)

    def become(self, value: float) -> None:
        for tensor in self.state_dict().values():
            tensor.fill_(value)


def averaged(config: EMA | SWA | EpochMean, epochs: int = 10) -> tuple[WeightAverage, Net]:
    """Weights are 100 + e at the start of epoch e and 200 + e at its end."""
    model = Net()
    average = config.build(model, epochs)
    for epoch in range(epochs):
        model.become(100.0 + epoch)
        average.start_epoch(model, epoch)
        average.after_step(model)
        model.become(200.0 + epoch)
        average.end_epoch(model, epoch)
    return average, model


def value(average: WeightAverage, name: str) -> float:
    assert average.weights is not None
    return float(average.weights[name].float().mean())


@pytest.mark.parametrize(
    ("start", "every", "epochs", "taken"),
    [
        (50, 5, 130, range(49, 130, 5)),
        (2, 1, 10, range(1, 10)),
        (10, 3, 50, range(9, 50, 3)),
        (0.5, 2, 10, (4, 6, 8)),
    ],
)
def test_swa_is_the_mean_of_the_parameters_at_the_starts_of_its_epochs(
    start: int | float, every: int, epochs: int, taken: range
) -> None:
    average, _ = averaged(SWA(start=start, every=every), epochs)
    assert average.count == len(taken)
    mean = sum(100 + epoch for epoch in taken) / len(taken)
    assert value(average, "layer.weight") == pytest.approx(mean, rel=1e-6)
    assert value(average, "norm.running_mean") == 100 + taken[-1]  # a buffer is copied


def test_an_epoch_mean_counts_the_end_of_each_epoch_once_and_buffers_too() -> None:
    average, _ = averaged(EpochMean(first=2, last=5))
    assert average.count == 4
    assert value(average, "layer.bias") == pytest.approx(200 + (1 + 2 + 3 + 4) / 4)
    assert value(average, "norm.running_var") == pytest.approx(200 + 2.5)
    assert value(average, "norm.num_batches_tracked") == 204


def test_an_epoch_mean_of_more_epochs_than_there_are_is_that_of_those_there_are() -> None:
    assert averaged(EpochMean(first=6, last=25), epochs=8)[0].count == 3


def test_before_anything_was_averaged_there_are_no_weights() -> None:
    assert averaged(SWA(start=50), epochs=10)[0].weights is None
    assert EMA().build(Net()).weights is None


def test_the_exponential_average_forgets_its_start_and_follows_the_weights() -> None:
    model = Net()
    model.become(0.0)
    average = EMA(decay=0.9).build(model)
    model.become(1.0)
    for _ in range(60):
        average.after_step(model)
    assert value(average, "layer.weight") > 0.99


@pytest.mark.parametrize("config", [EMA(decay=0.7), SWA(start=2, every=2), EpochMean(first=2, last=9)])
def test_an_average_goes_on_from_its_state_to_the_bit(config: EMA | SWA | EpochMean) -> None:
    torch.manual_seed(0)
    drawn = [torch.randn(2, 3) for _ in range(10)]
    results = []
    for stop in (None, 4):
        torch.manual_seed(1)
        model = Net()
        average = config.build(model, 10)
        for epoch, weight in enumerate(drawn):
            if epoch == stop:
                state = {name: tensor.clone() for name, tensor in average.state().items()}
                average = config.build(Net(), 10)
                average.restore(state)
            average.start_epoch(model, epoch)
            model.layer.weight.data.copy_(weight)
            average.after_step(model)
            average.end_epoch(model, epoch)
        results.append(average)
    whole, resumed = results
    assert whole.count == resumed.count > 0
    assert whole.weights is not None
    assert resumed.weights is not None
    assert torch.equal(whole.weights["layer.weight"], resumed.weights["layer.weight"])


def test_the_state_of_another_model_is_refused() -> None:
    with pytest.raises(ConfigError, match="of another model"):
        EMA().build(Net()).restore(EMA().build(nn.Linear(2, 2)).state())


def test_a_share_of_unknown_epochs_is_a_sentence() -> None:
    with pytest.raises(ConfigError, match="a share of the epochs"):
        SWA(start=0.5).build(Net())


def test_descriptions_survive_json_and_those_of_earlier_versions_are_exponential() -> None:
    adapter = TypeAdapter(AveragingConfig)
    assert adapter.validate_python({"decay": 0.98}) == EMA(decay=0.98)
    for config in (EMA(), SWA(start=0.75), SWA(start=2), EpochMean(last=5)):
        assert adapter.validate_json(config.to_json()) == config
