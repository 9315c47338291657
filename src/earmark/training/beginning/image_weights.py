"""Weights of image nets that spectrogram models begin with: where they are, and how they become ours."""

import re
from pathlib import Path

from earmark.config import ConfigError
from earmark.encoders import AST, EfficientNet, EncoderConfig, PaSST, ast_weights, passt_weights
from earmark.encoders.passt_weights import adapt_channels
from earmark.fetching import FetchError, Remote, fetch, progress_bar
from earmark.models.checkpoint import CheckpointError, is_ours
from earmark.models.foreign import read_state_dict
from earmark.models.zoo import cache_folder
from earmark.training.beginning.adaptation import State, lighter

DEIT = "deit-b-distilled-384.imagenet"
EFFICIENTNET_B2 = "efficientnet-b2.imagenet"

IMAGE_NETS = {
    DEIT: "https://dl.fbaipublicfiles.com/deit/deit_base_distilled_patch16_384-d0272ac0.pth",
    EFFICIENTNET_B2: (
        "https://github.com/lukemelas/EfficientNet-PyTorch/releases/download/1.0/efficientnet-b2-8bb594d6.pth"
    ),
}
"""Image nets by name, and where their authors published them (both under the Apache License 2.0)."""


def image_encoder(init: str, config: EncoderConfig) -> State | None:
    """The encoder's state that an image net gives.

    Args:
        init: a name of `IMAGE_NETS`, which is fetched once into the cache, or a file of such weights: a DeiT
        or
            ViT by timm's names, or an EfficientNet by those of efficientnet_pytorch.
        config: the encoder.

    Returns:
        Weights by the encoder's names; None if `init` is no image net.

    Raises:
        ConfigError: it is one, but not for this encoder.
        CheckpointError: the file cannot be had or read.
    """
    path = _fetched(init) if init in IMAGE_NETS else Path(init)
    if not path.is_file() or is_ours(path):
        return None
    state = read_state_dict(path)
    if "_conv_stem.weight" in state:
        return _efficientnet(init, state, config)
    if "pos_embed" in state and "patch_embed.proj.weight" in state and "time_new_pos_embed" not in state:
        return _transformer(init, state, config)
    return None


def _efficientnet(init: str, state: State, config: EncoderConfig) -> State:
    if not isinstance(config, EfficientNet):
        raise ConfigError(f"{init} is an EfficientNet but the recipe's encoder is a {config.kind}")
    stem = adapt_channels(state["_conv_stem.weight"], 1)
    kept = {name: tensor for name, tensor in state.items() if not name.startswith("_fc.")}
    return kept | {"_conv_stem.weight": stem}


def _transformer(init: str, state: State, config: EncoderConfig) -> State:
    if not isinstance(config, AST | PaSST):
        raise ConfigError(f"{init} is an image transformer but the recipe's encoder is a {config.kind}")
    width, distilled = state["pos_embed"].shape[2], "dist_token" in state
    if (width, distilled) != (config.dim, config.distilled):
        tokens = {True: "with", False: "without"}
        raise ConfigError(
            f"{init} has a width of {width} and is {tokens[distilled]} a distillation token; the recipe's "
            f"encoder has {config.dim} and is {tokens[config.distilled]} one; they must be equal"
        )
    plain = {name: tensor for name, tensor in state.items() if not re.match("(pre_logits|fc_norm)", name)}
    plain = lighter(plain, config.depth)
    try:
        if isinstance(config, PaSST):
            return passt_weights.encoder_state(plain, config)
        return ast_weights.from_imagenet(plain, config)
    except ValueError as error:
        raise ConfigError(f"{init}: {error}") from None


def _fetched(name: str) -> Path:
    path = cache_folder() / f"{name}.pth"
    remote = Remote(name, IMAGE_NETS[name], otherwise="download it yourself and give --set init=FILE")
    try:
        with progress_bar(name) as tell:
            fetch(remote, path, tell)
    except FetchError as error:
        raise CheckpointError(error.name, error.reason) from None
    return path
