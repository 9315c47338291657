"""What all tests share: one thread each, and a corpus made of tones."""

import csv
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, settings

from earmark.data.esc50 import ESC10_TARGETS

RATE = 8000

# Several tests run side by side; torch's threads wait by spinning, and would take the cores from one another.
# The variable reaches the commands that tests start.
os.environ["OMP_NUM_THREADS"] = "1"
torch.set_num_threads(1)

# How long an example takes says nothing of the code on machines that are shared.
settings.register_profile("earmark", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("earmark")


@pytest.fixture(autouse=True)
def _signals_as_before() -> Iterator[None]:
    """A command that is called here, and not as a process, must not leave its handlers to later tests."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ESC-10's layout; each class is a pitch, five clips a class, one for each fold."""
    root = tmp_path_factory.mktemp("tones")
    (root / "audio").mkdir()
    rng = np.random.default_rng(0)
    with (root / "metadata.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["filename", "fold", "label", "esc50_target", "source_id"])
        for place, target in enumerate(ESC10_TARGETS):
            for fold in range(1, 6):
                time = np.arange(RATE // 2) / RATE
                pitch = 200.0 * 1.3**place * rng.uniform(0.97, 1.03)
                wave = 0.3 * np.sin(2 * np.pi * pitch * time) + 0.01 * rng.standard_normal(len(time))
                name = f"{fold}-{place}-A-{target}.flac"
                soundfile.write(root / "audio" / name, wave, RATE)
                writer.writerow([name, fold, "x", target, place])
    return root
