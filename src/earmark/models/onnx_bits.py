"""ONNX graphs in fewer bits: without loss where the weights allow it, in fp16, or in int8."""

import copy
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, Literal

import numpy as np

from earmark.config import ConfigError

Precision = Literal["fp32", "fp16", "int8"]
BLOCK = 16
"""Weights of a head that share a scale; with one scale for a whole row, mn04's probabilities move by .02."""
LARGE = 1024
"""Numbers in a constant that is worth a node of its own."""


def reduced(whole: Any, precision: Precision) -> Any:
    """A graph that torch wrote and nobody has optimized, in so many bits, optimized; the front end stays.

    Raises:
        ConfigError: a converter fails.
    """
    optimizer = import_module("onnxscript.optimizer")
    try:
        made = copy.deepcopy(whole)
        if precision == "fp16":
            return _halved(optimizer.optimize(made))
        made = optimizer.optimize(_without_loss(made, matrices=precision == "fp32"))
        return made if precision == "fp32" else _quantized(made)
    except Exception as error:  # converters have errors of their own
        reason = str(error).strip().splitlines()[0][:200]
        raise ConfigError(f"this model cannot be written in {precision}: {reason}") from None


def _without_loss(made: Any, matrices: bool) -> Any:
    """Keep as fp16 what fp16 holds exactly, as most checkpoints of ours are; it is computed in fp32.

    Before anything is optimized: a convolution that has taken in its normalization has other weights.
    """
    arrays = import_module("onnx.numpy_helper")
    for tensor in list(made.graph.initializer):
        values = arrays.to_array(tensor)
        if values.dtype != np.float32 or values.size < LARGE or (values.ndim < 3 and not matrices):
            continue
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if np.array_equal(half, values):
            _replace(made, tensor, [arrays.from_array(half, f"{tensor.name}_half")], "Cast", to=1)
    return made


def _replace(made: Any, tensor: Any, stored: list[Any], operation: str, **attributes: int) -> None:
    """Have a constant computed from what is stored instead of it."""
    node = import_module("onnx.helper").make_node(
        operation,
        [one.name for one in stored],
        [tensor.name],
        name=f"{tensor.name}_{operation}",
        **attributes,
    )
    made.graph.initializer.remove(tensor)
    made.graph.initializer.extend(stored)
    made.graph.node.insert(0, node)


def _halved(made: Any) -> Any:
    """All behind the front end in fp16."""
    float16 = import_module("onnxruntime.transformers.float16")
    made = float16.convert_float_to_float16(made, keep_io_types=True, node_block_list=_before_encoder(made))
    seen: set[str] = set()
    for number, node in enumerate(list(made.graph.node)):
        if seen.intersection(node.output):  # the converter casts a value anew for each node that reads it
            made.graph.node.remove(node)
        seen.update(node.output)
        node.name = f"{node.name}_{number}"
    return made


def _quantized(made: Any) -> Any:
    """Products of frames with matrices in whole numbers, and the head's matrices kept as such.

    Weights are unsigned, as the activations are: products of a signed and an unsigned byte are added up in
    16 bits on processors without VNNI, overflow there, and cost a CNN's head .11 of a probability.
    Convolutions and what a CNN computes of whole clips stay: in int8 they gain no time, and lose much.
    """
    quantization, onnx = import_module("onnxruntime.quantization"), import_module("onnx")
    apart = {"", *_before_encoder(made)}
    products = [node.name for node in made.graph.node if node.op_type == "MatMul" and node.name not in apart]
    _head_in_blocks(made)
    if not products:
        return made
    with tempfile.TemporaryDirectory() as folder:
        whole, small = Path(folder) / "whole.onnx", Path(folder) / "small.onnx"
        del made.graph.value_info[:]  # shapes that torch noted, some of which are taken for wrong
        onnx.save(made, str(whole))
        quantization.quantize_dynamic(
            str(whole),
            str(small),
            per_channel=True,
            weight_type=quantization.QuantType.QUInt8,
            nodes_to_quantize=products,
            extra_options={"MatMulConstBOnly": True},
        )
        return onnx.load(str(small))


def _head_in_blocks(made: Any) -> None:
    """Keep the head's matrices as int8, with a scale for each few weights; they are multiplied in fp32."""
    arrays = import_module("onnx.numpy_helper")
    constants = {tensor.name: tensor for tensor in made.graph.initializer}
    for node in list(made.graph.node):
        tensor = constants.get(node.input[1]) if node.op_type == "Gemm" else None
        if tensor is None or not _within(node, "model.head") or tensor.dims[1] % BLOCK:
            continue
        blocks = arrays.to_array(tensor).reshape(tensor.dims[0], -1, BLOCK)
        scales = (np.abs(blocks).max(2) / 127).clip(1e-12).astype(np.float32)
        whole = np.round(blocks / scales[..., None]).astype(np.int8).reshape(tuple(tensor.dims))
        stored = [
            arrays.from_array(whole, f"{tensor.name}_int8"),
            arrays.from_array(scales, f"{tensor.name}_scales"),
        ]
        _replace(made, tensor, stored, "DequantizeLinear", axis=1, block_size=BLOCK)


def _before_encoder(made: Any) -> list[str]:
    """Names of the front end's nodes, by the modules that torch says they are from."""
    names: list[str] = []
    for node in made.graph.node:
        if _within(node, "model.encoder"):
            break
        names.append(node.name)
    return names


def _within(node: Any, module: str) -> bool:
    return any(module in entry.value for entry in node.metadata_props)
