"""Every odd file, by the Python call and by a command of its own; the folder run stands in test_journeys."""

import json
import os
from pathlib import Path

import pytest

import earmark as package
from audio.odd import OddFile, make_all
from earmark import AudioError
from inference.sounds import make_model


@pytest.fixture(scope="module")
def odd(tmp_path_factory: pytest.TempPathFactory) -> list[OddFile]:
    return make_all(tmp_path_factory.mktemp("odd"))


def test_the_python_call_raises_the_stated_error_or_gives_finite_scores(odd: list[OddFile]) -> None:
    model, wrong = make_model(), {}
    for file in odd:
        try:
            result = package.tag(file.path, model=model)
        except AudioError as error:
            if file.expect == "ok" or file.words not in str(error):
                wrong[file.name] = str(error)
        else:
            finite = all(0 <= tag.score <= 1 for row in result.rows for tag in row.tags)
            if file.expect == "error" or not finite:
                wrong[file.name] = repr(result)
    assert not wrong


@pytest.mark.parametrize("every", [8, pytest.param(1, marks=pytest.mark.slow)])
def test_a_command_of_its_own_gives_one_row_or_one_sentence(
    earmark, checkpoint: Path, odd: list[OddFile], every: int
) -> None:
    wrong = {}
    for file in odd[::every]:  # a process for each
        arguments = ("tag", file.path, "--model", checkpoint, "--format", "jsonl", "--workers", "0")
        done = earmark(*arguments)
        if os.path.isdir(file.path):  # noqa: PTH112  (a name may be too long for a Path)
            continue  # a folder is searched, not read
        (row,) = map(json.loads, done.stdout.splitlines())
        expected = (1, True) if file.expect == "error" else (0, False)
        if (done.returncode, "error" in row) != expected or b"Traceback" in done.stderr:
            wrong[file.name] = (done.returncode, row, done.stderr)
        if file.expect == "error" and (file.words not in row["error"] or len(done.stderr.splitlines()) != 1):
            wrong[file.name] = (row, done.stderr)
    assert not wrong
