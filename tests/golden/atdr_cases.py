"""Recorded cases of AudioTagging Done Right and PSLA: one runner for many classes."""

from typing import Any

import psla_cases
import talnet_cases
from torch import Tensor

Outputs = dict[str, Tensor]

MODULES = (
    psla_cases,
    talnet_cases,
)
"""Files with a dictionary `CLASSES`: name of a recorded class to a function that answers it."""

CLASSES = {name: answer for module in MODULES for name, answer in module.CLASSES.items()}


def atdr_model(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs | None:
    answer = CLASSES.get(args["cls"])
    return answer(args, inputs, weights) if answer else None


RUNNERS = (atdr_model,)
