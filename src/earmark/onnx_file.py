"""The words of earmark's ONNX files; who writes one and who runs it agree by these alone."""

import os
from pathlib import Path

SUFFIX = ".onnx"
INPUT, OUTPUT, FRAMES = "waveform", "probabilities", "frame_probabilities"
ONLY_TAGS = (
    "is an ONNX file, by which `earmark tag` tags and nothing else; give the model that it was exported from"
)
KEY = "earmark"
"""Of the metadata that say how sounds are cut, and what the scores are of."""


def is_onnx(model: object) -> bool:
    """Whether a model is named as an ONNX file.

    Example:
        >>> is_onnx("birds.onnx"), is_onnx("builtin")
        (True, False)
    """
    return isinstance(model, str | os.PathLike) and Path(model).suffix.lower() == SUFFIX
