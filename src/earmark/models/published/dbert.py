"""audio_dbert's weights: a dictionary of a state dict and its configuration as YAML."""

import re
from typing import Annotated, Any

import yaml
from pydantic import ConfigDict, Field
from torch import Tensor

from earmark.config import Frozen
from earmark.encoders import DBERT
from earmark.encoders.clusters import Clusters
from earmark.encoders.dbert import CONVS
from earmark.frontends import RawWaveform
from earmark.models.checkpoint import CheckpointError
from earmark.models.published.family import Family, Origin, State, renamed, shape_of, swapped
from earmark.models.published.plain_yaml import read_plain_yaml
from earmark.models.tagger import Tagger, TaggerConfig

NOTE = "cfg_yaml_string"
MAX_PARTS = 256
PUBLISHED_LAYER = 16
HEAD_WIDTH = 64
CLIP_SECONDS = 10.0

_POSITIONS = "positional_embedding.pos_conv.0."
_NORMED = f"encoder.{_POSITIONS}parametrizations.weight."
NAMES = {
    "encoder.": "",
    f"{_NORMED}original0": f"{_POSITIONS}weight_g",
    f"{_NORMED}original1": f"{_POSITIONS}weight_v",
}


class Told(Frozen):
    """What the YAML tells and the weights do not; the rest of it is not looked at.

    Attributes:
        conv1_cfg: channels, kernel and stride of each convolution.
        n_heads: attention heads.
        transformer_dp: dropout of the layers.
        sample_rate: Hz.
    """

    model_config = ConfigDict(extra="ignore")

    conv1_cfg: Annotated[tuple[tuple[int, int, int], ...], Field(max_length=MAX_PARTS)]
    n_heads: int
    transformer_dp: float = 0.1
    sample_rate: int = 16000


def is_dbert(state: State) -> bool:
    """Whether weights have the convolutions and the summary token that only dBERT has."""
    return "conv_extractor1.conv_layers.0.0.weight" in state and "summary_embedder.embedding.weight" in state


def describe(state: State, origin: Origin) -> TaggerConfig:
    """Read a dBERT off the shapes of its weights, and strides, heads and dropout off its YAML.

    Without YAML the strides are the published ones where the kernels are, and a head is 64 wide.  The
    encoder's end is after 16 layers where it has more, as the published `load_model` has it;
    `encoder.layer=null` takes all of them and the projections.  Clips are 10 s long: near the crops of 8 s
    that it was trained on, and within the memory of a small machine (the published package takes 3 minutes
    at once).
    """
    width = shape_of(state, "layernorm.weight", 1, origin, "dBERT")[0]
    hidden = shape_of(state, "transformer_layers.0.linear1.weight", 2, origin, "dBERT")[0]
    summary_dim = shape_of(state, "summary_proj.weight", 2, origin, "dBERT")[0]
    told = _told(origin)
    if told is None and (width % HEAD_WIDTH or not width):
        raise CheckpointError(
            origin.name,
            f"is {width} wide, which does not tell how many attention heads it has; give the file that has "
            f"its {NOTE} too",
        )
    normed = f"{_POSITIONS}weight_v" in state
    positions = shape_of(state, f"{_POSITIONS}weight{'_v' * normed}", 3, origin, "dBERT")
    depth = len(_parts(state, "transformer_layers", origin))
    encoder = DBERT(
        convs=_convs(state, told, origin),
        width=width,
        depth=depth,
        heads=told.n_heads if told else width // HEAD_WIDTH,
        ff_multiple=hidden // max(1, width),
        position_kernel=positions[2],
        position_groups=width // max(1, positions[1]),
        summary_dim=summary_dim,
        dropout=told.transformer_dp if told else 0.1,
        layer=PUBLISHED_LAYER if depth > PUBLISHED_LAYER else None,
        clusters=_clusters(state, origin),
        weight_norm=normed,
    )
    frontend = RawWaveform(sample_rate=told.sample_rate if told else 16000)
    return TaggerConfig(frontend=frontend, encoder=encoder, head=None, clip_seconds=CLIP_SECONDS)


def _parts(state: State, name: str, origin: Origin) -> list[int]:
    """The numbers behind a name, such as those of the layers."""
    pattern = re.compile(rf"{re.escape(name)}\.(\d{{1,4}})\.")
    numbers = sorted({int(match[1]) for key in state if (match := pattern.match(key))})
    if len(numbers) > MAX_PARTS:
        raise CheckpointError(origin.name, f"has {len(numbers)} parts called {name}; {MAX_PARTS} are allowed")
    return numbers


def _convs(state: State, told: Told | None, origin: Origin) -> tuple[tuple[int, int, int], ...]:
    name = "conv_extractor1.conv_layers"
    shapes = [
        shape_of(state, f"{name}.{index}.0.weight", 3, origin, "dBERT")
        for index in _parts(state, name, origin)
    ]
    found = [(channels, kernel) for channels, _, kernel in shapes]
    if told is None:
        usual = [(channels, *conv[1:]) for (channels, _), conv in zip(found, CONVS, strict=False)]
    else:
        usual = list(told.conv1_cfg)
    if found != [(channels, kernel) for channels, kernel, _ in usual]:
        known = "their strides are not known" if told is None else f"its {NOTE} describes {usual!s:.200}"
        raise CheckpointError(
            origin.name,
            f"has convolutions (channels, kernel) {found!s:.200}, but {known}; give the file that has "
            f"its own {NOTE}",
        )
    return tuple(usual)


def _clusters(state: State, origin: Origin) -> Clusters | None:
    if "masker.embedding.weight" not in state:
        return None
    sizes = [
        tuple(
            shape_of(state, f"{name}.{index}.codebook", 2, origin, "dBERT")[0]
            for index in _parts(state, name, origin)
        )
        for name in ("s_heads", "c_heads", "o_heads")
    ]
    return Clusters(summary=sizes[0], conv=sizes[1], output=sizes[2])


def _told(origin: Origin) -> Told | None:
    """The YAML that stood beside the weights, or None.

    Raises:
        CheckpointError: it is too large, damaged, not plain, or lacks what is needed.
    """
    text = origin.notes.get(NOTE)
    if text is None:
        return None
    try:
        tree = read_plain_yaml(text)
        model = tree.get("model") if isinstance(tree, dict) else None
        if not isinstance(model, dict):
            raise ValueError("it has no group 'model'")
        return Told.from_dict(model)
    except (yaml.YAMLError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(origin.name, f"its {NOTE} cannot be used: {reason}") from None


def published_file(tagger: Tagger) -> dict[str, str | dict[str, Tensor]]:
    """The whole dictionary that `torch.save` shall write, for audio_dbert's own `load_model` to read.

    Raises:
        ValueError: the model is no dBERT without a head, or lacks a part that the published loader needs.
    """
    config = tagger.config
    encoder = config.encoder
    if not isinstance(encoder, DBERT) or not writes(config):
        raise ValueError(
            f"audio_dbert has no names for a {encoder.kind} with a head; give a dBERT without one"
        )
    if encoder.first_norm != "channel":
        raise ValueError(
            "audio_dbert evens out each channel by itself behind the first convolution; first_norm is "
            f'"{encoder.first_norm}", and the model would say something else there; pretrain with '
            "model.encoder.first_norm=channel for that"
        )
    if encoder.clusters is None or not encoder.weight_norm:
        raise ValueError(
            "audio_dbert loads only models with cluster heads, mask embedding and weight norm; describe "
            "the encoder's clusters, and keep its weight norm"
        )
    state = {name: tensor.detach().cpu() for name, tensor in renamed(tagger.state_dict(), NAMES).items()}
    return {NOTE: yaml.safe_dump(_yaml(config, encoder, encoder.clusters)), "model_state_dict": state}


def writes(config: TaggerConfig) -> bool:
    """Whether a model is one of this family."""
    return isinstance(config.encoder, DBERT) and config.head is None


def _yaml(config: TaggerConfig, encoder: DBERT, clusters: Clusters) -> dict[str, Any]:
    """The published configuration, with leftovers of an older objective at their defaults."""
    model: dict[str, Any] = {
        "sample_rate": config.frontend.sample_rate,
        "conv1_cfg": [list(conv) for conv in encoder.convs],
        "conv_reduction_mult": encoder.frame_stride,
        "conv_magic_offset": encoder.min_frames,
        "conv_pos": encoder.position_kernel,
        "conv_pos_groups": encoder.position_groups,
        "dim": encoder.conv_dim,
        "transformer_dim": encoder.width,
        "layers": encoder.depth,
        "d_ff_mult": encoder.ff_multiple,
        "n_heads": encoder.heads,
        "transformer_dp": encoder.dropout,
        "use_summary_vec": True,
        "summary_dim": encoder.summary_dim,
        "use_cls_head": True,
        "use_db2": True,
        "db2": {
            "output_K": list(clusters.output),
            "summary_K": list(clusters.summary),
            "conv_K": list(clusters.conv),
            "output_coeff": 1.0,
            "summary_coeff": 1.0,
            "conv_coeff": 1.0,
            "output_betas": [0.9, 0.5],
        },
    }
    leftovers = {"use_token": False, "token_match_kv": True, "token_tanh_keys": False, "cls_heads": [100]}
    leftovers |= {"l": [1], "n_order": [50], "n_file": [10], "n_value": [40]}
    return {"model": model | leftovers, "data": {"sample_rate": config.frontend.sample_rate}}


AUDIO_DBERT = Family(
    name="dBERT",
    recognizes=is_dbert,
    describe=describe,
    to_published=lambda _, state: renamed(state, NAMES),
    from_published=lambda _, state: renamed(state, swapped(NAMES)),
    writes=writes,
    file=published_file,
)
