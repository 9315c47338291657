"""Keys and shapes of models of published size, as their authors build them, map completely, both ways."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch

from earmark.models.published import Origin, tagger_from_state, to_published

DATA = os.environ.get("EARMARK_DATA")
LISTS = ("09_state_dict_keys", "10_efficientat__state_dict_keys")


def listed() -> dict[str, dict[str, Any]]:
    models: dict[str, dict[str, Any]] = {}
    for name in LISTS if DATA else ():
        path = Path(DATA or "").parent / "golden" / "dev" / name / "meta.json"
        if path.exists():
            models |= json.loads(path.read_text())["models"]
    models.pop("passt/wrapper_extra", None)  # what a wrapper adds; the reader takes it off with its prefix
    return models


MODELS = listed()


@pytest.mark.skipif(not MODELS, reason="EARMARK_DATA is unset, or no recordings lie beside it")
@pytest.mark.parametrize("name", MODELS)
def test_a_published_list_of_keys_maps_completely_both_ways(name: str) -> None:
    entry = MODELS[name]
    whole = {key for key in entry["keys"] if key.endswith("num_batches_tracked")}
    where = "cpu" if entry.get("aliases") else "meta"  # two names of one tensor are compared by value
    state = {
        key: torch.zeros(shape, device=where, dtype=torch.int64 if key in whole else torch.float32)
        for key, shape in entry["keys"].items()
    }
    tagger = tagger_from_state(state, Origin(name))
    again = to_published(tagger)
    assert {key: tuple(tensor.shape) for key, tensor in again.items()} == {
        key: tuple(shape) for key, shape in entry["keys"].items()
    }
    if "n_parameters" in entry:
        assert tagger.count_parameters() == entry["n_parameters"]
