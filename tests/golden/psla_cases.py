"""PSLA's recorded cases, and those of the image nets of AudioTagging Done Right.

Hooks record submodules under the reference's names; earmark's encoders have the same names behind `effnet.`
or `model.`, and `avgpool` is the mean over bands.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from earmark.encoders import EfficientNet, Encoding, MobileNetV2, ResNet
from earmark.models.heads import AttentionHead, LinearHead

Outputs = dict[str, Tensor]


def activation(init: dict[str, Any], *names: str) -> Any:
    """The option under one of its names; the reference takes softmax over the classes."""
    name = next((init[name] for name in names if name in init), "sigmoid")
    return "softmax_over_classes" if name == "softmax" else name


def loaded(module: Any, weights: Outputs, beginning: str) -> Any:
    """A module with the weights behind a beginning."""
    own = {name.removeprefix(beginning): t for name, t in weights.items() if name.startswith(beginning)}
    assert own
    module.load_state_dict(own)
    return module.eval()


def strided(name: str, tensor: Tensor) -> Outputs:
    flat = tensor.reshape(len(tensor), -1)
    return {f"mid.{name}": tensor, f"mid.{name}.strided_flat": flat[:, :: max(1, flat.shape[1] // 1024)]}


def watched(encoder: nn.Module, names: list[str], beginning: str) -> Outputs:
    """A dictionary that a forward pass fills with what hooks on submodules see."""
    seen: Outputs = {}
    for name in names:
        own = name.removeprefix("input_of.").removeprefix(beginning)
        if own == "avgpool" or own == beginning.rstrip("."):
            continue
        if not has_submodule(encoder, own):  # another part of the recorded model than its net
            continue
        module = encoder.get_submodule(own)
        while isinstance(module, nn.Sequential):  # earmark runs the parts, so that it can stop between them
            module = module[0 if name.startswith("input_of.") else -1]
        watch(module, name, seen)
    return seen


def has_submodule(module: nn.Module, name: str) -> bool:
    return name in dict(module.named_modules())


def watch(module: nn.Module, name: str, seen: Outputs) -> None:
    if name.startswith("input_of."):
        module.register_forward_pre_hook(lambda _, args: seen.update(strided(name, args[0])))
    else:
        module.register_forward_hook(lambda _, args, out: seen.update(strided(name, out)))


@torch.no_grad()
def answered(
    encoder: nn.Module, head: Callable[[Encoding], Tensor], args: dict[str, Any], x: Tensor, beginning: str
) -> Outputs:
    """Probabilities of (batch frame band) features, and what the hooks saw."""
    seen = watched(encoder, args.get("hooks", []), beginning)
    encoding = encoder(x.transpose(1, 2))
    pooled = strided("avgpool", encoding.frames.transpose(1, 2)[:, :, None])
    y = head(encoding)
    return pooled | seen | strided("attention", y) | {"y": y}


def attended(
    encoder: Any, args: dict[str, Any], inputs: Outputs, weights: Outputs, beginning: str
) -> Outputs:
    """An encoder and attention pooling; the pooled value is compared before the logit's clamp."""
    init = args["init"]
    heads = n_heads(weights, "attention.")
    applied = activation(init, "att_act", "att_activation")
    head = AttentionHead(heads=heads, attention=applied, value=applied if heads else "sigmoid")
    n_classes = init.get("label_dim", init.get("n_class", 527))
    module = loaded(head.build(encoder.dim, encoder.frame_dim, n_classes), weights, "attention.")
    net = loaded(encoder.build(), weights, beginning)
    return answered(net, lambda encoding: module.pool(encoding.frames), args, inputs["x"], beginning)


def n_heads(weights: Outputs, beginning: str) -> int:
    """Of a pooling, told by its weights: the published nets have four whenever more than one is asked for."""
    if f"{beginning}att.weight" in weights:
        return 1
    return sum(1 for name in weights if name.startswith(f"{beginning}att.") and name.endswith(".weight"))


def failing() -> Outputs:
    """The mark of a recording on which the published code fails where earmark has an answer."""
    return {"raises": torch.tensor(1)}


def rows(encoder: EfficientNet) -> int:
    """Of the last map."""
    n = encoder.n_bands
    for step in (encoder.stem, *(block.step for block in encoder.blocks)):
        n = (n + sum(step.padding) - step.kernel) // step.stride + 1
    return n


def effnet_attention(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    n_bands = inputs["x"].shape[2]
    encoder = EfficientNet(n_bands=n_bands, b=args["init"].get("b", 0))
    outputs = attended(encoder, args, inputs, weights, "effnet.")
    return outputs | (failing() if rows(encoder) < 4 else {})  # the published pooling takes four rows


def resnet_attention(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    """The width of the attention tells which reading the weights are for; 832 x 4 x 16 fits one size only."""
    assert weights is not None
    _, n_frames, n_bands = inputs["x"].shape
    flattened = weights["attention.att.weight"].shape[1] == 832
    encoder = ResNet(n_bands=n_bands, reading="flattened" if flattened else "map")
    outputs = attended(encoder, args, inputs, weights, "model.")
    other = not flattened and (-(-n_frames // 32), -(-n_bands // 32)) != (33, 4)
    return outputs | (failing() if other and args["repo"] == "psla" else {})


def mbnet(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    encoder = MobileNetV2(n_bands=inputs["x"].shape[2])
    head = LinearHead(norm=False).build(encoder.dim, encoder.frame_dim, args["init"].get("label_dim", 527))
    loaded(head.linear, weights, "model.classifier.")
    own = {name: tensor for name, tensor in weights.items() if not name.startswith("model.classifier.")}
    net = loaded(encoder.build(), own, "model.")
    return answered(net, lambda encoding: head(encoding).sigmoid(), args, inputs["x"], "model.")


@torch.no_grad()
def pooling(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    """The pooling alone, on (batch dim frame 1); one with a single attention also gives its weights."""
    assert weights is not None
    init, x = args["init"], inputs["x"]
    heads = n_heads(weights, "")
    config = AttentionHead(
        heads=heads,
        attention=activation(init, "att_activation"),
        value=activation(init, "cla_activation") if heads else "sigmoid",  # whatever is asked for
    )
    factor = torch.ones(1)
    if args["cls"] == "MHeadAttention" and heads == 1:  # earmark's single attention has no factor
        factor = weights["head_weight"]
        weights = {n.replace(".0.", "."): t for n, t in weights.items() if n != "head_weight"}
    module = loaded(config.build(init["n_in"], init["n_in"], init["n_out"]), weights, "")
    outputs = {"y.0": module.pool(x[..., 0].transpose(1, 2)) * factor}
    if args["cls"] == "Attention":
        outputs["y.1"] = module.weights(module.att, x)
    return outputs


CLASSES = {
    "EffNetAttention": effnet_attention,
    "ResNetAttention": resnet_attention,
    "MBNet": mbnet,
    "MeanPooling": pooling,
    "Attention": pooling,
    "MHeadAttention": pooling,
}
