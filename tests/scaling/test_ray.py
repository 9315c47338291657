"""Ray Data at work, in processes of its own: slow to start, so that all but what needs no Ray is slow."""

import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

from earmark.cli import main
from earmark.inference.arrays import read_parquet
from earmark.models import save
from inference.sounds import make_model, write_sounds


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model, sounds, and their vectors by the run on one machine."""
    folder = tmp_path_factory.mktemp("ray")
    save(make_model(), folder / "model.safetensors")
    (folder / "sounds").mkdir()
    write_sounds(folder / "sounds", *(0.3 + index % 3 / 10 for index in range(40)))
    (folder / "sounds" / "bad.wav").write_bytes(b"RIFF")
    return folder


def started(room: Path, out: str, *more: str) -> subprocess.Popen[str]:
    given = ["embed", "sounds", "--out", out, "--model", "model.safetensors", "--batch", "4", *more]
    return subprocess.Popen(
        [sys.executable, "-m", "earmark", *given],
        cwd=room,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_one_machine_stays_free_of_ray(room: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(room)
    with pytest.raises(SystemExit) as ended:
        main(["embed", "sounds", "--out", "free.npz", "--model", "model.safetensors", "--workers", "0"])
    assert ended.value.code == 1  # of the bad one
    assert (room / "free.npz").exists()
    assert "ray" not in sys.modules


def test_without_ray_a_sentence_says_what_to_install(room: Path, monkeypatch: pytest.MonkeyPatch, capfd):
    monkeypatch.chdir(room)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(SystemExit) as ended:
        main(["embed", "sounds", "--out", "no-ray", "--model", "model.safetensors", "--engine", "ray"])
    assert ended.value.code == 2
    assert 'pip install "earmark[scale]"' in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install earmark[scale]")
def test_a_driver_that_is_killed_goes_on_and_the_rows_are_those_of_one_machine(room: Path):
    started(room, "here.parquet").communicate()
    out = room / "parts"
    driver = started(room, "parts", "--engine", "ray")
    while not list(out.glob("part-*")) and driver.poll() is None:
        time.sleep(0.05)
    driver.send_signal(signal.SIGKILL)
    driver.communicate()
    there = {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}
    ended = started(room, "parts", "--engine", "ray", "--resume")
    _, said = ended.communicate(timeout=200)
    assert ended.returncode == 1
    assert set(said.splitlines()) <= {
        "earmark: sounds/bad.wav: not audio: the content is a RIFF file without sound"
    }
    assert there.items() <= {path.name: path.stat().st_mtime_ns for path in out.glob("part-*")}.items()
    here, parts = list(read_parquet(room / "here.parquet")), list(read_parquet(out))
    assert [one.path for one in here] == [one.path for one in parts]
    for one, other in zip(here, parts, strict=True):
        assert np.array_equal(one.ends, other.ends)
        assert np.allclose(one.embeddings, other.embeddings, atol=1e-6)
