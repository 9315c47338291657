"""The benchmarks' common form, and one of them from the command to its table and picture."""

import subprocess
import sys
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def table() -> ModuleType:
    spec = util.spec_from_file_location("benchmark_table", ROOT / "benchmarks" / "table.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_ratio_above_one_is_our_gain_and_what_is_missing_is_told(table: ModuleType) -> None:
    row = table.paired("work", "s", [1.0, 2.0, 4.0], [2.0, 6.0, 4.0], "peer 1.0", "equal")
    text = table.markdown([row, table.Missing("other work", "peer2 not installed")], 60)
    assert "| work | 2 s | 4 s | peer 1.0 | 2.00 (1.00 to 3.00, 3) | equal |" in text
    assert "| other work | - | - | peer2 not installed | | |" in text


def test_two_works_are_timed_in_turn_and_the_first_round_does_not_count(table: ModuleType) -> None:
    order: list[str] = []
    ours, theirs = table.in_turn(lambda: order.append("a"), lambda: order.append("b"), rounds=2)
    assert order == ["a", "b"] * 3
    assert len(ours) == len(theirs) == 2
    assert table.version("no-such-package-at-all") is None


@pytest.mark.slow
def test_the_command_writes_a_table_and_a_picture(tmp_path: Path) -> None:
    verb = [sys.executable, "-m", "benchmarks", "hear", "decoding", "--out", str(tmp_path / "all" / "b.md")]
    run = subprocess.run(verb, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "| wav of 60 s, 44100 Hz stereo, to 32000 Hz mono |" in run.stdout
    assert (tmp_path / "all" / "b.md").read_text() in run.stdout
    assert (tmp_path / "all" / "b.png").stat().st_size > 10_000
