"""`earmark bench-train`: what it times are whole steps, and its parts make up the whole."""

import json

import pytest
import torch
from tone_recipe import TINY

from earmark.cli import main
from earmark.config import ConfigError
from earmark.encoders import PaSST
from earmark.training import Settings
from earmark.training import speed as room
from earmark.training.distributing.world import World
from earmark.training.speed import PARTS, Clock, made_up, measure_speed

CPU = World(0, 1, torch.device("cpu"))


def test_the_shares_of_a_step_make_up_the_whole() -> None:
    found = measure_speed(TINY, steps=4)
    assert tuple(found.shares) == PARTS
    assert sum(found.shares.values()) == pytest.approx(1)
    assert all(found.shares[part] > 0 for part in PARTS), "the average of the weights included"
    assert found.clips_per_second == pytest.approx(TINY.batch_size / found.step_seconds)
    assert found.step_seconds <= found.slowest_seconds
    assert (found.steps, found.batch_size, found.precision, found.compiled) == (4, 8, "fp32", False)
    assert found.peak_bytes > 50_000_000


def test_the_network_costs_more_than_its_average() -> None:
    encoder = PaSST(n_bands=32, max_frames=30, dim=192, depth=3, heads=3, stride=(8, 6))
    shares = measure_speed(TINY.replace(model=TINY.model.replace(encoder=encoder)), steps=4).shares
    assert min(shares["backward"], shares["forward"]) > 2 * shares["average"]


def test_parts_of_a_batch_and_recomputing_are_timed_too() -> None:
    assert measure_speed(TINY, Settings(micro_batch=2), steps=1).shares["backward"] > 0
    with pytest.raises(ConfigError, match="has no blocks"):
        measure_speed(TINY, Settings(recompute=True), steps=1)


def test_a_clock_forgets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0.0, 1.0, 3.0, 7.0])
    monkeypatch.setattr(room.time, "perf_counter", lambda: next(ticks))
    clock = Clock(CPU.device)
    clock.begin()
    clock.mark("forward")
    clock.mark("backward")
    clock.end()
    assert clock.steps == [7.0]
    assert clock.parts == [{"forward": 1.0, "backward": 2.0, "other": 4.0}]


def test_made_up_clips_fit_the_recipe() -> None:
    batch = made_up(TINY, CPU)
    assert batch.waveform.shape == (8, 4000)
    assert batch.targets.sum(dim=1).tolist() == [1.0] * 8
    assert torch.equal(batch.waveform, made_up(TINY, CPU).waveform)


def test_the_command_needs_no_data(capsys: pytest.CaptureFixture[str]) -> None:
    call = ["bench-train", "esc50-cnn-tiny", "--steps", "2", "--set", "batch_size=2", "--set", "seed=3"]
    with pytest.raises(SystemExit) as status:
        main(call)
    assert status.value.code == 0
    words = capsys.readouterr().out
    assert "clips of 5 s a second: steps of 2 clips" in words
    assert "of a step: front end" in words
    with pytest.raises(SystemExit):
        main([*call, "--json"])
    assert json.loads(capsys.readouterr().out)["batch_size"] == 2


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (["esc50-cnn-tiny", "--steps", "0"], "at least one step is timed"),
        (["esc50-cnn-tny"], "did you mean 'esc50-cnn-tiny'"),
        (["esc50-cnn-tiny", "--with", "recompute=true"], "has no blocks"),
    ],
)
def test_wrong_calls_are_sentences(call: list[str], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as status:
        main(["bench-train", *call])
    assert status.value.code == 2
    assert words in capsys.readouterr().err
