"""Tagging by ONNX Runtime, from a file that `earmark export` wrote; torch is not needed."""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.inference.hearing import ArrayGive, Ear
from earmark.labels import LabelSet
from earmark.onnx_file import FRAMES, INPUT, KEY, OUTPUT

SHIPPED = Path(__file__).parents[1] / "weights" / "builtin.onnx"
"""The built-in model, exported from the checkpoint that lies beside it."""
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def stand_in(model: str, device: str, precision: str) -> Path | None:
    """The exported file that tags as a model does, and starts sooner; None if that cannot be had.

    The built-in model on a processor in fp32 has one, where ONNX Runtime is installed.
    """
    if (model, device, precision) != ("builtin", "cpu", "fp32") or not SHIPPED.is_file():
        return None
    try:
        import_module("onnxruntime")
    except ImportError:
        return None
    return SHIPPED


def open_onnx(path: Path, device: str | None = "cpu", threads: int = 0) -> Ear:
    """Open an exported model.

    Args:
        path: what `earmark export MODEL --out FILE.onnx` wrote.
        device: cpu or cuda; None for cpu.
        threads: processor threads; 0 for ONNX Runtime's own choice.

    Raises:
        ConfigError: no such file, none of earmark's, no such device here, or ONNX Runtime is not installed.
    """
    runtime, name = _onnxruntime(), displayable(path)
    if not path.is_file():
        raise ConfigError(f"{name}: there is no such file")
    kind, _, number = (device or "cpu").partition(":")
    provider = PROVIDERS.get(kind)
    if provider is None or provider not in runtime.get_available_providers():
        raise ConfigError(f"device {device!r} is not one of ONNX Runtime's here; try device 'cpu'")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(
            str(path), options, providers=[(provider, {"device_id": number} if number else {})]
        )
    except Exception as error:  # ONNX Runtime has errors of its own for each way to be no model
        reason = str(error).strip().splitlines()[0][:200]
        raise ConfigError(f"{name}: is no ONNX model that can be run ({reason})") from None
    return _ear(session, name)


def _ear(session: Any, name: str) -> Ear:
    try:
        about = json.loads(session.get_modelmeta().custom_metadata_map[KEY])
        labels = LabelSet.from_dict(about["labels"])
        cut = {key: about[key] for key in ("sample_rate", "clip_seconds", "padding", "min_samples")}
        frames = about["frames"]
    except (KeyError, ValueError, TypeError):
        raise ConfigError(
            f"{name}: does not say what it hears and what its scores are called; take an ONNX file that "
            "`earmark export` wrote"
        ) from None

    def give(output: str, *grid: float) -> ArrayGive:
        def compute(waveforms: Float[np.ndarray, "batch sample"]) -> Float[np.ndarray, "batch ..."]:
            return session.run([output], {INPUT: waveforms.astype(np.float32, copy=False)})[0]

        return ArrayGive(compute, len(labels), *grid)

    return Ear(
        **cut,
        labels=labels,
        clips=give(OUTPUT),
        frames=None if frames is None else give(FRAMES, *frames),
    )


def _onnxruntime() -> Any:
    try:
        return import_module("onnxruntime")
    except ImportError:
        raise ConfigError(
            'an .onnx model needs ONNX Runtime; install it with `pip install "earmark[onnx]"`'
        ) from None
