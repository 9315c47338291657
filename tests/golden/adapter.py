"""Answers recorded cases of the published systems with earmark's own code.

`run(meta, inputs, weights)` returns `{output name: tensor}`, or None for cases that it does not cover.
The recordings were seeded through torch's global generator; earmark draws in the published order, so the same
seed gives the same draws.  Each system's cases are a file beside this one, with its functions in `RUNNERS`,
named as the recordings name them.
"""

import sys
from pathlib import Path
from typing import Any

from torch import Tensor

sys.path.insert(0, str(Path(__file__).parent))  # for those who load this file by its path

import ast_cases
import atdr_cases
import dbert_cases
import dbert_cluster_cases
import efficientat_cases
import frontend_cases
import hear_cases
import metrics_cases
import passt_cases
import training_cases

MODULES = (
    ast_cases,
    dbert_cases,
    dbert_cluster_cases,
    passt_cases,
    atdr_cases,
    efficientat_cases,
    frontend_cases,
    hear_cases,
    metrics_cases,
    training_cases,
)

Outputs = dict[str, Tensor]


def run(meta: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs | None:
    runner = RUNNERS.get(meta["runner"])
    return runner(meta["args"], inputs, weights) if runner else None


RUNNERS = {runner.__name__: runner for module in MODULES for runner in module.RUNNERS}
