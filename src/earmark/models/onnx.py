"""A tagger as an ONNX file: from waveform to probabilities, front end inside."""

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Generator
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earmark.config import ConfigError
from earmark.files import commit
from earmark.models.onnx_bits import Precision, reduced
from earmark.models.tagger import Tagger
from earmark.onnx_file import FRAMES, INPUT, KEY, OUTPUT

FORMAT = 1
TOLERANCE = {"fp32": 1e-3, "fp16": 2e-2, "int8": 2e-2}
"""Between the probabilities of both programs, of noise."""


class Probabilities(nn.Module):
    """What the file computes: probabilities of clips, and of frames where the head has them."""

    def __init__(self, model: Tagger) -> None:
        super().__init__()
        self.model = model

    def forward(self, waveform: Float[Tensor, "batch sample"]) -> tuple[Float[Tensor, "batch ..."], ...]:
        """Waveforms at the model's rate, full scale +-1."""
        encoding = self.model.encode(waveform)
        clips = self.model.probabilities(self.model.classify(encoding))
        scores = getattr(self.model.head, "frame_probabilities", None)
        return (clips,) if scores is None else (clips, scores(encoding.frames))


def export_onnx(model: Tagger, out: Path, precision: Precision = "fp32", weights: str | None = None) -> None:
    """Write a model as ONNX, for any number of clips of any length that it takes.

    Args:
        model: has a head; it stays as it is.
        out: the file to write; it appears when it is whole.
        precision: fp32; fp16 computes all but the front end in half; int8 computes products of frames with
            matrices in whole numbers, scaled as they come, which is for transformers.
        weights: the digest of the file that the model is from, to be told by this one.

    Raises:
        ConfigError: the model has no head, cannot be exported, or a package is missing.
        OSError: the file cannot be written.
    """
    if not model.has_head:
        raise ConfigError("this model has no head and gives embeddings only; ONNX files are for tagging")
    _needed()
    was_training = model.training
    model.eval()
    try:
        whole = _exported(model)
        _check(model, whole, TOLERANCE["fp32"])
        with _quiet():
            made = reduced(whole, precision)
        _check(model, made, TOLERANCE[precision])
    finally:
        model.train(was_training)
    for node in made.graph.node:
        del node.metadata_props[:]  # where in torch's program each was
    entry = made.metadata_props.add()
    entry.key, entry.value = (
        KEY,
        json.dumps(about(model, precision) | {"weights": weights}, ensure_ascii=False),
    )
    with commit(out) as file:
        file.write(made.SerializeToString())


def about(model: Tagger, precision: Precision) -> dict[str, Any]:
    """How sounds are cut for a model and what its scores are of, as plain values."""
    return {
        "format": FORMAT,
        "precision": precision,
        "sample_rate": model.sample_rate,
        "clip_seconds": model.clip_seconds,
        "padding": model.padding,
        "min_samples": model.min_samples,
        "labels": model.labels.to_dict(),
        "frames": [model.frame_seconds, model.first_frame_seconds] if model.has_frame_scores else None,
    }


def _needed() -> None:
    for name in ("onnx", "onnxscript", "onnxruntime"):
        try:
            import_module(name)
        except ImportError:
            raise ConfigError(f'ONNX needs {name}; install it with `pip install "earmark[onnx]"`') from None


def _exported(model: Tagger) -> Any:
    """The model as an ONNX graph in memory.

    Two clips, as torch takes a batch of one for a number that never changes; and shorter than the model's, as
    what is as long as a table of positions would have to stay so.
    """
    waveform = torch.zeros(2, max(model.min_samples, round(model.clip_seconds * model.sample_rate) * 7 // 8))
    free, bounded = torch.export.Dim.DYNAMIC, torch.export.Dim.AUTO  # by the length of the model's clips
    names = [OUTPUT, FRAMES] if model.has_frame_scores else [OUTPUT]
    with _quiet():
        try:
            program = torch.onnx.export(
                Probabilities(model).eval(),
                (waveform,),
                dynamo=True,
                dynamic_shapes=({0: free, 1: bounded},),
                input_names=[INPUT],
                output_names=names,
                opset_version=21,  # the first with scales for blocks of weights
                optimize=False,
                verbose=False,
            )
        except torch.onnx.errors.OnnxExporterError as error:
            reason = str(error.__cause__ or error).strip().splitlines()[0][:200]
            raise ConfigError(f"this model cannot be written as ONNX: {reason}") from None
    if program is None:
        raise ConfigError("this model cannot be written as ONNX")
    return program.model_proto


@torch.inference_mode()
def _check(model: Tagger, made: Any, tolerance: float) -> None:
    """Compare on noise of several lengths: what torch took for a number that never changes shows here."""
    runtime = import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 4
    noise = torch.Generator().manual_seed(0)
    longest = round(model.clip_seconds * model.sample_rate)
    try:
        session = runtime.InferenceSession(made.SerializeToString(), options, ["CPUExecutionProvider"])
        for length in sorted({model.min_samples, max(model.min_samples, longest * 3 // 5), longest}):
            for batch in (1, 3):
                waveform = 0.1 * torch.randn(batch, length, generator=noise)
                wanted = Probabilities(model)(waveform)[0].numpy()
                found = session.run([OUTPUT], {INPUT: waveform.numpy()})[0]
                if found.shape != wanted.shape or not abs(found - wanted).max() < tolerance:
                    raise ValueError(f"{batch} clips of {length} samples get other probabilities")
    except Exception as error:  # ONNX Runtime has errors of its own for each way to fail
        reason = str(error).strip().splitlines()[0][:200]
        raise ConfigError(
            f"this model's ONNX file does not compute what it computes ({reason}); nothing was written"
        ) from None


@contextlib.contextmanager
def _quiet() -> Generator[None, None, None]:
    """Exporters tell much that nobody asked for."""
    loud = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "root")]
    levels = [logger.level for logger in loud]
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        for logger in loud:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loud, levels, strict=True):
                logger.setLevel(level)
