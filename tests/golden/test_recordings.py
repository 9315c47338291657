"""The recorded inputs and outputs of the published systems, where they lie beside the real data."""

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

DATA = os.environ.get("EARMARK_DATA")
GOLDEN = Path(DATA).parent / "golden" if DATA else None
COVERED = (
    "06_",
    "01_",
    "02_",
    "03_",
    "04_",
    "05_atdr_ast",
    "07_",
    "10_",
    "04_ast_fbank",
    "05_atdr_fbank",
    "05_psla_fbank",
    "07_ikiskin_fbank",
    "05_cnntrans",
    "05_crnn",
    "05_ffnet",
    "05_fnet",
    "05_linear",
    "05_newnet",
    "05_transformer",
    "05_psla_effnet",
    "05_psla_resnet",
    "05_resnet50",
    "05_mbnet",
    "05_pooling",
    "08_",
)


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cases() -> list[str]:
    if GOLDEN is None or not (GOLDEN / "dev").is_dir():
        return []
    return sorted(p.name for p in (GOLDEN / "dev").iterdir() if p.name.startswith(COVERED))


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.skipif(not cases(), reason="EARMARK_DATA is unset, or no recordings lie beside it")
@pytest.mark.parametrize("case", cases())
def test_a_recorded_case_is_reproduced_within_its_tolerance(case: str) -> None:
    assert GOLDEN is not None
    sys.dont_write_bytecode = True
    library = load(GOLDEN / "golden_lib.py")
    adapter = load(Path(__file__).parent / "adapter.py")
    meta, inputs, expected, weights = library.load_item(str(GOLDEN / "dev" / case))
    try:
        got = adapter.run(meta, inputs, weights)
    except ValueError:
        assert "raises" in expected
        return
    off = [(name, difference) for name, ok, difference in library.compare(meta, expected, got) if not ok]
    assert not off
