"""docs/adding.md is done word for word in a copy of the package."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "adding.md").read_text(encoding="utf-8")


def block(kind: str) -> tuple[str, str]:
    """What stands behind a kind of block, and the block."""
    found = re.search(rf"^```python {kind}(?:=(\S+))?\n(.*?)^```", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert found, f"the page has no {kind}"
    return found[1], found[2]


def edit(path: Path, before: str, after: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert before in text
    path.write_text(text.replace(before, after, 1), encoding="utf-8")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(
        ROOT / "src" / "earmark", folder / "src" / "earmark", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", folder)
    path, text = block("file")
    (folder / path).write_text(text, encoding="utf-8")
    path, text = block("line")
    edit(
        folder / path, "from earmark.encoders.encoding import", f"{text}from earmark.encoders.encoding import"
    )
    path, text = block("member")
    edit(
        folder / path,
        "EncoderConfig = Annotated[\n    ",
        f"EncoderConfig = Annotated[\n    {text.strip()} | ",
    )
    path, text = block("case")
    (folder / path).parent.mkdir(parents=True)
    shutil.copy(ROOT / path, folder / path)
    edit(
        folder / path,
        "from earmark.encoders import",
        f"from earmark.encoders import {text.split('(')[1]}\nfrom earmark.encoders import",
    )
    edit(folder / path, "SMALL = {\n", f"SMALL = {{\n    {text}")
    return folder


def python(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=copy, env=environment, capture_output=True, text=True, timeout=120
    )


def test_the_new_encoder_keeps_what_every_encoder_promises(copy: Path) -> None:
    path, _ = block("case")
    done = python(
        copy, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", path, "-k", "BandConv or listed"
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


def test_the_new_encoder_tags_and_is_described(copy: Path) -> None:
    _, text = block("run")
    show = 'from earmark.cli import main\nmain(["show", "conv.safetensors"])\n'
    done = python(copy, "-c", f"{text}\n{show}")
    assert done.returncode == 0, done.stderr
    assert "width=32" in done.stdout
    said, _, shown = done.stdout.partition("\n2\n")
    assert "BandConv" in shown, said
