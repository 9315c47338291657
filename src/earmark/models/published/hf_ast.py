"""AST's weights as Hugging Face's transformers library names them."""

import re

import torch
from torch import Tensor

from earmark.encoders import AST
from earmark.labels import LabelSet
from earmark.models.heads import LinearHead
from earmark.models.published.ast import Keys, read_encoder, tagger
from earmark.models.published.family import Family, Origin, State, labels_for, renamed, shape_of, swapped
from earmark.models.tagger import TaggerConfig

ROOT = "audio_spectrogram_transformer."
EPS = 1e-12
"""Of every layer norm there; the authors' code has 1e-6, and 1e-5 before the classifier."""

OUTSIDE = {
    "encoder.cls_token": "embeddings.cls_token",
    "encoder.dist_token": "embeddings.distillation_token",
    "encoder.pos_embed": "embeddings.position_embeddings",
    "encoder.patch_embed.proj.": "embeddings.patch_embeddings.projection.",
    "encoder.norm.": "layernorm.",
}
HEAD = {"head.norm.": "classifier.layernorm.", "head.linear.": "classifier.dense."}

LAYER = {
    "norm1.": "layernorm_before.",
    "norm2.": "layernorm_after.",
    "attn.q.": "attention.attention.query.",
    "attn.k.": "attention.attention.key.",
    "attn.v.": "attention.attention.value.",
    "attn.proj.": "attention.output.dense.",
    "mlp.fc1.": "intermediate.dense.",
    "mlp.fc2.": "output.dense.",
}
"""Names inside a layer, as on the hub; transformers 5 still saves them so."""

LAYER_5 = {
    "norm1.": "layernorm_before.",
    "norm2.": "layernorm_after.",
    "attn.q.": "attention.q_proj.",
    "attn.k.": "attention.k_proj.",
    "attn.v.": "attention.v_proj.",
    "attn.proj.": "attention.o_proj.",
    "mlp.fc1.": "mlp.fc1.",
    "mlp.fc2.": "mlp.fc2.",
}
"""Names inside a layer as transformers 5 has them in memory."""


def _family(name: str, layers: str, inside: dict[str, str], writes: bool) -> Family:
    """The family whose blocks are called `layers` with their number, and their parts as in `inside`."""
    first = f"{layers}0.{inside['attn.q.']}weight"

    def names(config: TaggerConfig) -> dict[str, str]:
        table = dict(OUTSIDE)
        for index in range(len(config.encoder.layers)):
            table |= {f"encoder.blocks.{index}.{a}": f"{layers}{index}.{b}" for a, b in inside.items()}
        root = ROOT if config.head else ""
        return {ours: root + theirs for ours, theirs in table.items()} | (HEAD if config.head else {})

    def describe(state: State, origin: Origin) -> TaggerConfig:
        root = ROOT if ROOT + first in state else ""
        keys = Keys(
            root + OUTSIDE["encoder.pos_embed"],
            root + OUTSIDE["encoder.patch_embed.proj."] + "weight",
            re.escape(root + layers) + r"(\d{1,4})\.",
        )
        encoder = read_encoder(state, keys, origin, eps=EPS, qkv_bias=f"{root}{first[:-6]}bias" in state)
        if not root:
            return tagger(encoder, None, LabelSet())
        n_classes = shape_of(state, "classifier.dense.weight", 2, origin, name)[0]
        return tagger(encoder, LinearHead(eps=EPS), labels_for(n_classes, origin))

    return Family(
        name=name,
        recognizes=lambda state: first in state or ROOT + first in state,
        describe=describe,
        to_published=lambda config, state: renamed(split(state), names(config)),
        from_published=lambda config, state: joined(renamed(state, swapped(names(config)))),
        writes=lambda config: writes and _fits(config),
    )


def _fits(config: TaggerConfig) -> bool:
    encoder, heads = config.encoder, (None, LinearHead(eps=EPS))
    return isinstance(encoder, AST) and encoder.distilled and encoder.eps == EPS and config.head in heads


def split(state: State) -> dict[str, Tensor]:
    """Give queries, keys and values layers of their own.

    Example:
        >>> {name: t.tolist() for name, t in split({"attn.qkv.bias": torch.arange(6.0)}).items()}
        {'attn.q.bias': [0.0, 1.0], 'attn.k.bias': [2.0, 3.0], 'attn.v.bias': [4.0, 5.0]}
    """
    parts: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if ".qkv." in name:
            parts |= {name.replace(".qkv.", f".{p}."): t for p, t in zip("qkv", tensor.chunk(3), strict=True)}
        else:
            parts[name] = tensor
    return parts


def joined(state: State) -> dict[str, Tensor]:
    """Put queries, keys and values into one layer: the way back of `split`."""
    whole: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if ".attn.q." in name:
            three = [state[name.replace(".attn.q.", f".attn.{part}.")] for part in "qkv"]
            whole[name.replace(".attn.q.", ".attn.qkv.")] = torch.cat(three)
        elif ".attn.k." not in name and ".attn.v." not in name:
            whole[name] = tensor
    return whole


HF_AST = _family("Hugging Face AST", "encoder.layer.", LAYER, writes=True)
HF_AST_5 = _family("Hugging Face AST in memory", "layers.", LAYER_5, writes=False)
