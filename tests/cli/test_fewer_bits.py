"""`--precision` on the command line."""

import json
import signal
import time

import pytest

from earmark.encoders import PaSST
from earmark.models import TaggerConfig, save
from inference.sounds import make_model


@pytest.fixture(scope="session")
def transformer(tmp_path_factory: pytest.TempPathFactory):
    path = tmp_path_factory.mktemp("transformer") / "small.safetensors"
    encoder = PaSST(n_bands=32, max_frames=101, dim=32, depth=2, heads=2)
    save(TaggerConfig.replace(make_model().config, encoder=encoder).build(), path)
    return path


def scores(done):
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.decode().splitlines()]
    return [tag["score"] for row in rows for tag in sorted(row["tags"], key=lambda tag: tag["label"])]


def test_fewer_bits_give_nearly_the_same_tags(earmark, transformer, folder):
    call = ("tag", folder, "--model", transformer, "--format", "jsonl", "--precision")
    exact, *others = (scores(earmark(*call, precision)) for precision in ("fp32", "bf16", "int8"))
    for other in others:
        assert other != exact
        assert other == pytest.approx(exact, abs=0.01)


def test_what_cannot_be_had_in_eight_bits_is_told(earmark, checkpoint, folder):
    done = earmark("embed", folder, "--model", checkpoint, "--out", "out.npz", "--precision", "int8")
    assert done.returncode == 2
    assert b"int8 is for linear layers, and this model's encoder has none" in done.stderr


def test_a_run_is_not_resumed_in_another_precision(start, earmark, transformer, folder, work):
    call = ("tag", *[folder] * 25, "--model", transformer, "--batch", "1", "--out", "out.jsonl")
    process = start(*call)
    part = work / "out.jsonl.part"
    while not (part.exists() and part.stat().st_size > 1000):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.end().returncode == 143
    done = earmark(*call, "--resume", "--precision", "int8")
    assert done.returncode == 2
    assert b"was begun with precision=" in done.stderr
