"""audio_dbert's recorded cases; those of its generators of clusters lie beside this file."""

from itertools import accumulate
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from earmark.encoders import Encoding
from earmark.encoders.clusters import Clusters, CosineHead
from earmark.encoders.dbert import DBERT, DBERTEncoder, joined
from earmark.encoders.dbert_layers import MaskEmbedding
from earmark.frontends import RawWaveform
from earmark.hear.framed import Framed
from earmark.hear.module import HearModel, get_scene_embeddings, get_timestamp_embeddings
from earmark.models.published import Origin
from earmark.models.published.dbert import AUDIO_DBERT
from earmark.models.published.family import fill
from earmark.models.tagger import Tagger

Outputs = dict[str, Tensor]

DEFAULTS = {"conv_pos": 128, "conv_pos_groups": 16, "transformer_dim": 768, "layers": 12, "d_ff_mult": 4}
DEFAULTS |= {"n_heads": 8, "summary_dim": 128, "transformer_dp": 0.1}


def described(given: dict[str, Any]) -> DBERT:
    cfg = DEFAULTS | given
    db2 = {"output_K": [100], "summary_K": [100], "conv_K": [100]} | cfg.get("db2", {})
    convs = {"convs": tuple(tuple(conv) for conv in cfg["conv1_cfg"])} if "conv1_cfg" in cfg else {}
    return DBERT(
        **convs,
        width=cfg["transformer_dim"],
        depth=cfg["layers"],
        heads=cfg["n_heads"],
        ff_multiple=cfg["d_ff_mult"],
        position_kernel=cfg["conv_pos"],
        position_groups=cfg["conv_pos_groups"],
        summary_dim=cfg["summary_dim"],
        dropout=cfg["transformer_dp"],
        clusters=Clusters(
            summary=tuple(db2["summary_K"]), conv=tuple(db2["conv_K"]), output=tuple(db2["output_K"])
        ),
    )


def loaded(config: DBERT, weights: Outputs | None) -> DBERTEncoder:
    """The encoder with published weights, through the published names."""
    assert weights is not None
    family = AUDIO_DBERT._replace(describe=lambda state, origin: tagger_config(config))
    encoder = fill(family, weights, Origin("recorded")).encoder
    assert isinstance(encoder, DBERTEncoder)
    return encoder


def tagger_config(config: DBERT) -> Any:
    from earmark.models.tagger import TaggerConfig

    return TaggerConfig(frontend=RawWaveform(), encoder=config, head=None)


def n_frames(config: DBERT, lengths: Tensor) -> Tensor:
    return torch.tensor([config.n_frames(int(n)) for n in lengths])


def position_conv(encoder: DBERTEncoder) -> Any:
    return encoder.positional_embedding.pos_conv[0]


@torch.no_grad()
def dbert_forward(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    config = described(args["cfg"])
    encoder = loaded(config, weights)
    if args.get("remove_weight_norm"):
        parametrize.remove_parametrizations(position_conv(encoder), "weight")
    lengths = n_frames(config, inputs["lengths"])
    conv = encoder.conv_features(inputs["wav"][:, None])
    masked = None if args.get("ignore_mask") else inputs.get("masks")
    encoding = encoder.contextualize(conv, masked=masked, lengths=lengths)
    similarities = encoder.similarities(encoding)
    outputs = {
        "c": encoding.frames,
        "summary": encoding.summary,
        "c_lengths": lengths,
        "conv_feats": conv,
        "valid": torch.arange(conv.shape[1]) < lengths[:, None],
        "pos_conv_weight_after_removal": position_conv(encoder).weight,
    }
    named = {"s": similarities.summary, "c": similarities.conv, "o": similarities.output}
    for name, heads in named.items():
        outputs |= {f"{name}_sims.{index}": sims for index, sims in enumerate(heads)}
    return outputs


@torch.no_grad()
def dbert_features(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    config = described(args["cfg"])
    encoder = loaded(config, weights)
    lengths = n_frames(config, inputs["lengths"])
    conv = encoder.conv_features(inputs["wav"][:, None])
    outputs: Outputs = {}
    for layer in args["layers_asked"]:
        encoding = until(encoder, conv, lengths, layer)
        outputs[f"c.layer{layer}"] = encoding.frames
        outputs[f"summary.layer{layer}"] = encoding.summary
        outputs[f"v.layer{layer}"] = joined(encoding)
    parametrize.remove_parametrizations(position_conv(encoder), "weight")
    again = until(encoder, conv, lengths, args["layers_asked"][-1])
    return outputs | {"c.last_asked_after_remove_weight_norm": again.frames}


def until(encoder: DBERTEncoder, conv: Tensor, lengths: Tensor | None, layer: int | None) -> Encoding:
    """The encoding behind a published slice of the layers; exactly all of them end in the projections."""
    depth = encoder.config.depth
    if layer is None or layer == depth:
        return encoder.contextualize(conv, lengths=lengths)
    count = len(range(depth)[:layer])
    entered: list[Tensor] = []
    hook = encoder.transformer_layers[0].register_forward_pre_hook(lambda _, args: entered.append(args[0]))
    encoding = encoder.contextualize(conv, lengths=lengths, layer=max(0, count - 1))
    hook.remove()
    return encoding if count else Encoding(frames=entered[0][:, 1:], summary=entered[0][:, 0])


@torch.no_grad()
def dbert_head(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    head = CosineHead(args["K"], args["dim"], args["summary_dim"])
    head.load_state_dict(weights)
    return {"sims": head(inputs["c"], inputs.get("summary"))}


@torch.no_grad()
def dbert_maskemb(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    masker = MaskEmbedding(args["dim"], args["mtype"])
    masker.load_state_dict(weights)
    return {"seq": masker(inputs["seq"], inputs["mask"])}


def published_ms(n_samples: int) -> int:
    """The published length in milliseconds, which floating-point rounding makes 1 too small for some."""
    return int(n_samples / 16000 * 1000)


def published_times(n_samples: int) -> Tensor:
    """The published times in milliseconds; one too few where the length was rounded down."""
    return 12.5 + 20.0 * torch.arange(max(0, (published_ms(n_samples) - 5) // 20))


def dbert_lengths(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    rows = []
    for n in args["n_samples"]:
        frames, times = DBERT().n_frames(n), published_times(n)
        last = float(times[-1]) if len(times) else -1.0
        rows.append([n, frames, frames, len(times) or -1, published_ms(n), last])
    return {"table": torch.tensor(rows, dtype=torch.float64)}


def dbert_wrapper(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    """Scene and timestamp embeddings of sounds that are cut as the published package cuts them."""
    config = described(args["cfg"])
    tagger = Tagger(tagger_config(config))
    tagger.encoder = loaded(config, weights)
    layer = None if args["layer"] in (None, -1) else args["layer"]
    model = HearModel(Framed(tagger, layer, chunk_minutes=float(args["m_chunk"])))
    sizes = [model.scene_embedding_size, model.timestamp_embedding_size, model.sample_rate]
    outputs = {"sizes": torch.tensor(sizes)}
    for name in (name for name in inputs if name.startswith("audio")):
        parts = published_chunks(inputs[name], args["m_chunk"] * 60 * model.sample_rate)
        vectors, times = chunk_by_chunk(parts, model)
        alone = len(parts) == 1
        outputs[f"{name}.scene"] = get_scene_embeddings(parts[0], model) if alone else vectors.mean(dim=1)
        if vectors.shape[1] != sum(len(published_times(part.shape[1])) for part in parts):
            outputs[f"{name}.ts_raises"] = torch.tensor(1)
            continue
        outputs[f"{name}.ts_embeddings_strided"] = vectors[:, :: args["stride"]]
        outputs[f"{name}.timestamps"] = times
        outputs[f"{name}.ts_shape"] = torch.tensor(vectors.shape)
    return outputs


def published_chunks(audio: Tensor, longest: float) -> list[Tensor]:
    """Of equal length, none above the longest; the frames between them are lost."""
    return list(audio.chunk(1 + int(audio.shape[1] // longest) if audio.shape[1] > longest else 1, dim=1))


def chunk_by_chunk(parts: list[Tensor], model: HearModel) -> tuple[Tensor, Tensor]:
    """Our embeddings of each, and our times, which the published package adds to whole milliseconds."""
    found = [get_timestamp_embeddings(part, model) for part in parts]
    starts = accumulate((published_ms(part.shape[1]) for part in parts[:-1]), initial=0)
    times = [start + times for start, (_, times) in zip(starts, found, strict=True)]
    return torch.cat([vectors for vectors, _ in found], dim=1), torch.cat(times, dim=1)


RUNNERS = (dbert_forward, dbert_features, dbert_head, dbert_maskemb, dbert_lengths, dbert_wrapper)
