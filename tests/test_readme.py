"""README's commands, extracted and run on small audio."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest

from cli.running import Running

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)
COMMANDS = [[line for line in block.splitlines() if line.startswith("earmark ")] for block in BLOCKS]
SOUNDS = (".flac", ".mp3", ".ogg", ".wav")
PYTHON = re.findall(r"^```python\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def live_in(folder: Path) -> None:
    """Set this process's environment to that of somebody who works in a folder."""
    os.environ.update({"NO_COLOR": "1", "COLUMNS": "100", "EARMARK_CACHE": str(folder / "cache")})


def run(arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"EARMARK_CACHE": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what README's commands name."""
    folder = tmp_path_factory.mktemp("desk")
    crow = ROOT / "examples" / "crow.flac"
    for name in ("crow.flac", "long.flac", "a.wav"):
        shutil.copy(crow, folder / name)
    (folder / "b.mp3").write_bytes(b"no audio at all")
    shutil.copytree(ROOT / "examples", folder / "recordings")
    clips = sorted(path.name for path in (folder / "recordings").iterdir() if path.suffix in SOUNDS)
    rows = [f"recordings/{name},{'even' if row % 2 else 'odd'}" for row, name in enumerate(clips)]
    (folder / "clips.csv").write_text("\n".join(["file,label", *rows]) + "\n")
    return folder


def test_readme_shows_commands() -> None:
    assert sum(map(len, COMMANDS)) >= 8
    assert len(PYTHON) == 1


@pytest.mark.parametrize(
    "commands", [one for one in COMMANDS if one], ids=lambda commands: commands[0].split()[1]
)
def test_the_commands_of_a_block_of_readme_work_in_their_order(
    commands: list[str], desk: Path, tmp_path: Path
) -> None:
    for number, command in enumerate(commands):
        arguments = shlex.split(command, comments=True)[1:]
        (told := tmp_path / str(number)).mkdir()
        result = Running(arguments, desk, told, before=partial(live_in, desk)).end()
        assert result.returncode == 0, (command, result.stderr)
        if "--out" in arguments and "--dry-run" not in arguments:
            assert (desk / arguments[arguments.index("--out") + 1]).stat().st_size > 0
        else:
            assert result.stdout, command


def test_the_python_of_readme_works(desk: Path) -> None:
    result = run(["-c", PYTHON[0]], desk)
    assert result.returncode == 0, result.stderr
    assert "b.mp3" in result.stdout
    assert "not audio" in result.stdout


def test_the_first_command_hears_the_crow(desk: Path) -> None:
    result = run(["-m", "earmark", "tag", "crow.flac", "--top", "1"], desk)
    assert "Crow" in result.stdout
