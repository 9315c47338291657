"""Recorded cases of AST, of its copy in AudioTagging Done Right, and of the minimal AST and its CNN."""

import hashlib
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from earmark.encoders import AST, PlainCNN
from earmark.encoders.ast import SIZES
from earmark.encoders.ast_weights import from_audioset, from_imagenet
from earmark.models.heads import LinearHead
from earmark.models.published.ast import NAMES
from earmark.models.published.family import renamed, swapped
from earmark.models.published.minimal import AST_NAMES, CNN_NAMES

Outputs = dict[str, Tensor]

IMAGENET_SIDES = {"tiny224": 14, "small224": 14, "base224": 14, "base384": 24}


def recorded_weight(key: str, shape: tuple[int, ...], seed: int, gain4d: float = 1.0) -> Tensor:
    """The recordings' own number source (README.md beside them), for weights that they do not store."""
    base, scale = 0.0, 0.5
    if key.endswith("weight"):
        scale = math.sqrt(3.0 * (gain4d if len(shape) == 4 else 1.0) / math.prod(shape[1:]))
    elif key.endswith("bias"):
        scale = 0.1
    state = int.from_bytes(hashlib.sha256(f"w:{seed}:{key}".encode()).digest()[:8], "little")
    with np.errstate(over="ignore"):
        z = np.uint64(state) + np.arange(1, math.prod(shape) + 1, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    u = (z >> np.uint64(11)).astype(np.float64) * (2.0**-53) * 2.0 - 1.0
    return torch.from_numpy((base + scale * u).astype(np.float32).reshape(shape))


def married(
    config: AST | PlainCNN, head: LinearHead, classes: int, names: dict[str, str], weights: Outputs
) -> tuple[Any, Any]:
    """Encoder and head with published weights, by the table that files are read with."""
    state = renamed(weights, swapped(names))
    modules: tuple[nn.Module, nn.Module] = (
        config.build().eval(),
        head.build(config.dim, config.frame_dim, classes).eval(),
    )
    for module, prefix in zip(modules, ("encoder.", "head."), strict=True):
        module.load_state_dict({n.removeprefix(prefix): t for n, t in state.items() if n.startswith(prefix)})
    return modules


def ast(init: dict[str, Any], **more: Any) -> AST:
    return AST(
        n_bands=init.get("input_fdim", 128),
        max_frames=init.get("input_tdim", 1024),
        stride=(init.get("fstride", 10), init.get("tstride", 10)),
        **SIZES[init.get("model_size", "base384")],
        **more,
    )


def watched(encoder: Any) -> Outputs:
    """What enters and leaves the blocks, filled by the next forward pass."""
    seen: Outputs = {}
    encoder.patch_embed["proj"].register_forward_hook(lambda _, args, out: seen.update(grid=out))
    encoder.blocks[0].register_forward_pre_hook(lambda _, args: seen.update(entering=args[0]))
    encoder.blocks[0].register_forward_hook(lambda _, args, out: seen.update(first=out))
    encoder.blocks[-1].register_forward_hook(lambda _, args, out: seen.update(last=out))
    encoder.norm.register_forward_hook(lambda _, args, out: seen.update(norm=out))
    return seen


@torch.no_grad()
def ast_forward(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    config = ast(args["init"], carry_imagenet="v.head.weight" in weights)
    encoder, head = married(config, LinearHead(), args["init"].get("label_dim", 527), NAMES, weights)
    seen = watched(encoder)
    encoding = encoder(inputs["fbank"].transpose(1, 2))
    length = seen["entering"].shape[1]
    step = max(1, length // 12)
    return {
        "logits": head(encoding),
        "features": encoding.summary,
        "seq_len": torch.tensor(length),
        "patch_tokens_strided": seen["grid"].flatten(2).transpose(1, 2)[:, ::step, ::8],
        "seq_in_strided": seen["entering"][:, ::step, ::8],
        "block0_strided": seen["first"][:, ::step, ::8],
        "norm_mean_over_tokens": seen["norm"].double().mean(dim=1),
    }


def ast_imagenet_adapt(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    init, seed, step = args["init"], args["source_seed"], args["estride"]
    config, side = ast(init), IMAGENET_SIDES[init.get("model_size", "base384")]
    shapes = {
        "pos_embed": (1, 2 + side * side, config.dim),
        "patch_embed.proj.weight": (config.dim, 3, 16, 16),
        "patch_embed.proj.bias": (config.dim,),
    }
    gain = args.get("_gain4d", 1.0)
    source = {key: recorded_weight(key, shape, seed, gain) for key, shape in shapes.items()}
    state = from_imagenet(source, config)
    return {
        "pos_embed_shape": torch.tensor(state["pos_embed"].shape),
        "pos_embed_strided": state["pos_embed"][:, :, ::step],
        "proj_weight_strided": state["patch_embed.proj.weight"][::step],
        "proj_bias": state["patch_embed.proj.bias"],
    }


def ast_audioset_adapt(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    config, source = ast(args["init"]), AST()
    shapes = {
        "v.pos_embed": (1, 2 + math.prod(source.table), source.dim),
        "v.patch_embed.proj.weight": (source.dim, 1, 16, 16),
    }
    seed, gain = args["source_seed"], args.get("_gain4d", 1.0)
    state = {key: recorded_weight(key, shape, seed, gain) for key, shape in shapes.items()}
    fitted = from_audioset(state, config)
    same = torch.equal(fitted["patch_embed.proj.weight"], state["v.patch_embed.proj.weight"])
    return {
        "pos_embed_shape": torch.tensor(fitted["pos_embed"].shape),
        "pos_embed_strided": fitted["pos_embed"][:, :, :: args["estride"]],
        "proj_weight_equal_source": torch.tensor(int(same)),
    } | audioset_adapt_failing(args, config)


def audioset_adapt_failing(args: dict[str, Any], config: AST) -> Outputs:
    """The mark that the published code fails: at other sizes, and the fork at other bands."""
    size, rows = args["init"].get("model_size", "base384"), config.table[0]
    fork = args.get("code") == "AudioTaggingDoneRight"
    fails = size != "base384" or (fork and rows != AST().table[0])
    return {"raises": torch.tensor(1)} if fails else {}


@torch.no_grad()
def ik_ast(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    init, known = args["init"], args["config"]
    config = AST(
        n_bands=init.get("input_fdim", 128),
        max_frames=init.get("input_tdim", 498),
        stride=(init.get("fstride", 10), init.get("tstride", 10)),
        patch=weights["proj.weight"].shape[2],
        dim=init.get("embed_dim", known.get("embed_dim", 768)),
        depth=known.get("depth", 2),
        heads=known.get("num_heads", 6),
        dropout=known.get("dropout", 0.1),
        distilled=False,
        pool="class_and_first_patch",
        qkv_bias=False,
        final_norm=False,
        eps=1e-5,
    )
    classes = init.get("n_classes", known.get("n_classes", 50))
    encoder, head = married(config, LinearHead(relu=True), classes, AST_NAMES, weights)
    seen = watched(encoder)
    head.linear.register_forward_hook(lambda _, args, out: seen.update(before=out))
    logits = head(encoder(inputs["x"].transpose(1, 2)))
    return {
        "y": logits,
        "before_relu": seen["before"],
        "seq_in_first6": seen["entering"][:, :6],
        "seq_out_first6": seen["last"][:, :6],
        "seq_out_mean": seen["last"].double().mean(dim=1),
        "num_patches": torch.tensor(seen["entering"].shape[1] - 1),
    }


@torch.no_grad()
def ik_cnn(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    config = PlainCNN(pool="flatten", shared_conv=True)
    classes = weights["fc3.weight"].shape[0]
    encoder, head = married(config, LinearHead(norm=False), classes, CNN_NAMES, weights)
    seen: Outputs = {}
    encoder.conv1.register_forward_hook(lambda _, args, out: seen.update(conv1=out))
    encoder.fc1.register_forward_hook(lambda _, args, out: seen.update(fc1=out))
    logits = head(encoder(inputs["x"][:, 0].transpose(1, 2)))
    return {"y": logits, "conv1_strided": seen["conv1"][:, :, ::40, ::10], "fc1": seen["fc1"]}


RUNNERS = (ast_forward, ast_imagenet_adapt, ast_audioset_adapt, ik_ast, ik_cnn)
