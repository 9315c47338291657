"""audio_dbert's recorded cases; those of its generators of clusters lie beside this file."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import parametrize

from earmark.encoders import Encoding
from earmark.encoders.clusters import Clusters, CosineHead
from earmark.encoders.dbert import DBERT, DBERTEncoder, joined
from earmark.encoders.dbert_layers import MaskEmbedding
from earmark.frontends import RawWaveform
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


@torch.no_grad()
def dbert_wrapper(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    """Scene and timestamp embeddings as the published package cuts and times them."""
    config = described(args["cfg"])
    tagger = Tagger(tagger_config(config))
    tagger.encoder = loaded(config, weights)
    tagger.eval()
    layer = None if args["layer"] in (None, -1) else args["layer"]
    size = config.dim + config.frame_dim if layer is None else 2 * config.width
    outputs = {"sizes": torch.tensor([size, size, tagger.sample_rate])}
    for name in (name for name in inputs if name.startswith("audio")):
        vectors, times = timed(tagger, inputs[name], layer, args["m_chunk"])
        outputs[f"{name}.scene"] = vectors.mean(dim=1)
        if vectors.shape[1] != len(times):
            outputs[f"{name}.ts_raises"] = torch.tensor(1)
            continue
        outputs[f"{name}.ts_embeddings_strided"] = vectors[:, :: args["stride"]]
        outputs[f"{name}.timestamps"] = times.expand(len(vectors), -1)
        outputs[f"{name}.ts_shape"] = torch.tensor(vectors.shape)
    return outputs


def timed(tagger: Tagger, audio: Tensor, layer: int | None, minutes: float) -> tuple[Tensor, Tensor]:
    """Embeddings and published times of chunks of equal length, none longer than some minutes."""
    longest = minutes * 60 * tagger.sample_rate
    chunks = 1 + int(audio.shape[1] // longest) if audio.shape[1] > longest else 1
    encoder, vectors, times, start = tagger.encoder, [], [], 0
    assert isinstance(encoder, DBERTEncoder)
    for chunk in audio.chunk(chunks, dim=1):
        conv = encoder.conv_features(tagger.frontend(chunk))
        vectors.append(joined(until(encoder, conv, None, layer)))
        times.append(start + published_times(chunk.shape[1]))
        start += published_ms(chunk.shape[1])
    return torch.cat(vectors, dim=1), torch.cat(times)


RUNNERS = (dbert_forward, dbert_features, dbert_head, dbert_maskemb, dbert_lengths, dbert_wrapper)
