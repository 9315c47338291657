"""A command line at work: a small model in a file, a few sounds, and the real process."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.running import Running
from earmark.cli import main
from earmark.models import save
from inference.sounds import make_model, write_sounds


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "small.safetensors"
    save(make_model(), path, {"recipe": "none", "licence": "CC0"})
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    write_sounds(sounds, *(0.3 + index / 10 for index in range(8)))
    return sounds


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Where earmark is called."""
    (tmp_path / "work").mkdir(exist_ok=True)
    return tmp_path / "work"


@pytest.fixture
def start(tmp_path: Path, work: Path) -> Callable[..., Running]:
    """Start earmark in `work`."""

    def start(*arguments: object, given: bytes = b"", before: Callable[[], None] | None = None) -> Running:
        return Running([str(argument) for argument in arguments], work, tmp_path, given, before)

    return start


@pytest.fixture
def earmark(start) -> Callable[..., subprocess.CompletedProcess[bytes]]:
    """Run earmark to its end."""
    return lambda *arguments, **options: start(*arguments, **options).end()


@pytest.fixture
def called(capfd: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run earmark within this process; gives the status and what it said on its two streams."""

    def called(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return ended.value.code, *capfd.readouterr()

    return called
