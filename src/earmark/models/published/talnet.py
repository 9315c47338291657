"""Weights of AudioTagging Done Right's TALNet and TALtrans, and what all its frame classifiers share."""

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from earmark.encoders import CRNN, CNNTransformer, EncoderConfig
from earmark.frontends import FrontendConfig, KaldiFbank, SlaneyDb
from earmark.models.checkpoint import CheckpointError
from earmark.models.heads import PoolingHead
from earmark.models.published.family import Family, Origin, State, labels_for, renamed, shape_of, swapped
from earmark.models.tagger import TaggerConfig

NAMES = {
    "encoder.": "",
    "head.fc_prob.": "fc_prob.",
    "head.fc_att.": "fc_att.",
    "head.ens.": "ens.",
}
MAX_BLOCKS = 64
SMALL_BANDS = 100
"""Up to as many bands have the front end of 64 x 400, more the one of 128 x 1024."""


def head_of(state: State) -> PoolingHead:
    """The pooling, as far as weights tell.

    Only attention and the mixture have weights.  The others are told by the run's options alone: linear, the
    published default, is taken; `head.pooling=max` (mean, exp) corrects it.
    """
    if "ens.weight" in state:
        return PoolingHead(pooling="mixed")
    return PoolingHead(pooling="attention" if "fc_att.weight" in state else "linear")


def frontend_for(n_bands: int) -> FrontendConfig:
    """The front end of the published recipes: 64 x 400 in doubled decibels, or 128 x 1024.

    Mean and deviation are those of the recipes of TALtrans (64 bands) and TALNet (128), which are measured
    with masks and mixup; weights do not tell, and `frontend.mean` and `frontend.std` correct it.
    """
    if n_bands <= SMALL_BANDS:
        return SlaneyDb(n_mels=n_bands, decibels="doubled", mean=-29.686901, std=40.898224, length=400)
    return KaldiFbank(n_mels=n_bands, mean=-3.6788461, std=4.3739743, length=1024)


def described(encoder: EncoderConfig, head: PoolingHead, n_classes: int, origin: Origin) -> TaggerConfig:
    """A model of AudioTagging Done Right on clips of 10 s."""
    return TaggerConfig(
        frontend=frontend_for(encoder.n_bands),
        encoder=encoder,
        head=head,
        labels=labels_for(n_classes, origin),
        clip_seconds=10.0,
    )


def without_aliases(state: State) -> dict[str, Tensor]:
    """Leave out the second names of the convolutions: `conv1.` is `conv.0.`, and so on."""
    return {name: tensor for name, tensor in state.items() if not re.match(r"conv\d", name)}


def with_aliases(state: State) -> dict[str, Tensor]:
    """Put the second names of the convolutions back."""
    aliases = {
        f"conv{int(match[1]) + 1}.{match[2]}": tensor
        for name, tensor in state.items()
        if (match := re.match(r"conv\.(\d+)\.(.*)", name))
    }
    return dict(state) | aliases


def _check_aliases(state: State, origin: Origin, family: str) -> None:
    for alias, tensor in with_aliases(without_aliases(state)).items():
        if alias in state and state[alias].shape == tensor.shape and not torch.equal(state[alias], tensor):
            name = re.sub(r"^conv(\d+)", lambda match: f"conv.{int(match[1]) - 1}", alias)
            raise CheckpointError(
                origin.name, f"its weights make no {family}: {alias} and {name} are one tensor but differ"
            )


def _conv_fields(state: State, origin: Origin, family: str) -> dict[str, Any]:
    """Read the convolutions off their shapes: channels double behind each pool, and tell the bands."""
    _check_aliases(state, origin, family)
    dim = shape_of(state, "fc_prob.weight", 2, origin, family)[1]
    count = sum(1 for name in state if re.fullmatch(r"conv\.\d+\.conv\.weight", name))
    if count > MAX_BLOCKS:
        raise CheckpointError(origin.name, f"has {count} convolutions; {MAX_BLOCKS} are allowed")
    shapes = [shape_of(state, f"conv.{index}.conv.weight", 4, origin, family) for index in range(count)]
    channels = [shape[0] for shape in shapes]
    if not channels[0]:
        raise CheckpointError(origin.name, f"its weights make no {family}: its convolutions are empty")
    return {
        "n_bands": 2 * dim // channels[0],
        "dim": dim,
        "blocks": count,
        "pools": len(set(channels)),
        "kernel": shapes[0][2:],
        "batch_norm": "conv.0.bn.weight" in state,
    }


def _describe_talnet(state: State, origin: Origin) -> TaggerConfig:
    n_classes = shape_of(state, "fc_prob.weight", 2, origin, "TALNet")[0]
    encoder = CRNN(**_conv_fields(state, origin, "TALNet"))
    return described(encoder, head_of(state), n_classes, origin)


def _describe_taltrans(state: State, origin: Origin) -> TaggerConfig:
    """The sinusoid is in the weights; how often the layer is applied is not: twice, as published."""
    fields = _conv_fields(state, origin, "TALtrans")
    n_classes = shape_of(state, "fc_prob.weight", 2, origin, "TALtrans")[0]
    if "positional_encoding.pe" in state:
        _, length, _ = shape_of(state, "positional_encoding.pe", 3, origin, "TALtrans")
        fields |= {"positions": "spectrogram", "position_frames": length}
    return described(CNNTransformer(**fields), head_of(state), n_classes, origin)


def _family(
    name: str,
    mark: str,
    encoder: type[CRNN] | type[CNNTransformer],
    describe: Callable[[State, Origin], TaggerConfig],
) -> Family:
    return Family(
        name=name,
        recognizes=lambda state: "conv.0.conv.weight" in state and mark in state,
        describe=describe,
        to_published=lambda _, state: with_aliases(renamed(state, NAMES)),
        from_published=lambda _, state: renamed(without_aliases(state), swapped(NAMES)),
        writes=lambda config: isinstance(config.encoder, encoder) and isinstance(config.head, PoolingHead),
    )


TALNET = _family("TALNet", "gru.weight_ih_l0", CRNN, _describe_talnet)
TALTRANS = _family("TALtrans", "enc_layer.slf_attn.w_qs.weight", CNNTransformer, _describe_taltrans)
