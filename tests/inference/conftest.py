"""Fixtures of this room."""

from collections.abc import Callable
from pathlib import Path

import pytest

from earmark.models import Tagger

from .sounds import make_model, write_sounds


@pytest.fixture(scope="session")
def model() -> Tagger:
    return make_model()


@pytest.fixture
def sounds(tmp_path: Path) -> Callable[..., list[Path]]:
    return lambda *seconds: write_sounds(tmp_path, *seconds)
