"""The official validator of the HEAR challenge, as PyPI has it, has nothing to say against any module."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from test_modules import CNN, NAMES, OF_MODULE, PASST

import earmark
from earmark.models import Tagger, save

RUN = """
import sys
from hearvalidator import validate
for told in sys.argv[1:]:
    module, _, file = told.partition("=")
    sys.argv = ["hear-validator", f"earmark.hear.{module}", "-m", file, "-d", "cpu"]
    validate.main()
"""
STAND_IN = "class Module:\n    pass\n"
"""For TensorFlow: the validator asks whether a model is one of its modules."""


@pytest.fixture(scope="module")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the validator, and with what stands in for TensorFlow."""
    folder = tmp_path_factory.mktemp("validator")
    flags = ["--quiet", "--no-deps", "--ignore-requires-python", "--target", str(folder)]
    command = [sys.executable, "-m", "pip", "install", *flags, "hearvalidator==2021.0.6"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    if done.returncode:
        pytest.skip(f"hearvalidator cannot be installed from PyPI here: {done.stderr.strip()[-200:]}")
    (folder / "tensorflow.py").write_text(STAND_IN)
    return folder


@pytest.mark.slow
def test_the_official_validator_says_that_every_module_looks_good(validator: Path, tmp_path: Path) -> None:
    """With seeded weights in small networks: what it asks about is shapes and times."""
    torch.manual_seed(0)
    told: list[str] = []
    for name in NAMES:
        config = OF_MODULE.get(name, CNN if name == "mn10" else PASST)
        save(Tagger(config), tmp_path / f"{name}.safetensors")
        told.append(f"{name}={tmp_path / name}.safetensors")
    paths = [str(validator), str(Path(earmark.__file__).parents[1])]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN, *told],
        capture_output=True,
        text=True,
        env=environment,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    checked = [line.split("earmark.hear.")[1] for line in done.stdout.splitlines() if "Importing" in line]
    assert checked == NAMES
    assert done.stdout.count("Looks good!") == len(NAMES)
