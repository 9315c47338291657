"""hear21passt's recorded scene and timestamp embeddings."""

from typing import Any

import torch
from passt_cases import log_mel, married, passt
from torch import Tensor

from earmark.hear.module import HearModel, get_scene_embeddings, get_timestamp_embeddings
from earmark.hear.windowed import Windowed
from earmark.labels import LabelSet
from earmark.models import Tagger, TaggerConfig

Outputs = dict[str, Tensor]

LEVELS: dict[str, dict[str, Any]] = {
    "base": {"windows": (0.16,)},
    "base2level": {"windows": (0.16, 0.8)},
    "base2levelmel": {"windows": (0.16, 0.64), "mel_frames": 6},
    "hop160base2lvlmel": {"windows": (0.16, 0.8), "mel_frames": 6},
}
MODES = {"all": "all", "embed_only": "embedding", "logits": "logits"}


def wrapped(args: dict[str, Any], weights: Outputs) -> HearModel:
    """The model that a recording was made with."""
    init, wrapper = args["net"]["init"], args["wrapper"]
    names = tuple(f"class {index}" for index in range(init["num_classes"]))
    config = TaggerConfig(
        frontend=log_mel(args["mel"]),
        encoder=passt(init, "inference"),
        labels=LabelSet(names=names),
        clip_seconds=wrapper.get("max_model_window", 10_000) / 1000,
    )
    tagger = Tagger(config)
    tagger.encoder, tagger.head = married(config.encoder, len(names), weights)
    scene_hop = wrapper.get("scene_hop", 2500) / 1000
    embedder = Windowed(
        tagger.eval(), mode=MODES[args["embed_mode"]], scene_hop=scene_hop, **LEVELS[args["api"]]
    )
    return HearModel(embedder, batch=3)


def passt_wrapper(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    """Embeddings of all modules; where the published ones fail, ours are told by the mark alone."""
    assert weights is not None
    model, audio = wrapped(args, weights), inputs["audio"]
    embedder = model.embedder
    assert isinstance(embedder, Windowed)
    attributes = [model.sample_rate, embedder.windows[0], embedder.longest, 1600, embedder.scene_hop]
    outputs = {"attrs": torch.tensor(attributes)}
    if args["what"] == "scene":
        return outputs | {"scene": get_scene_embeddings(audio, model)}
    embeddings, times = get_timestamp_embeddings(audio, model)
    if audio.shape[1] <= max(embedder.windows) // 2:  # the published code cannot reflect so short a clip
        assert bool(embeddings.isfinite().all())
        return {"raises": torch.tensor(1)}
    stride = args["time_stride"]
    shown = torch.cat([embeddings[:, ::stride], embeddings[:, -2:]], dim=1) if stride > 1 else embeddings
    return outputs | {
        "embeddings": shown,
        "timestamps": times,
        "embeddings_shape": torch.tensor(embeddings.shape),
    }


RUNNERS = (passt_wrapper,)
