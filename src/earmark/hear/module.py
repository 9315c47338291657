"""The three functions of the HEAR common API, once for all models.

Source:
    HEAR 2021 common API (hearbenchmark.com/hear-api.html).
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earmark.config import ConfigError
from earmark.hear.embedder import Embedder
from earmark.models import Tagger, load
from earmark.models.ensemble import Ensemble
from earmark.models.precision import Precision, with_precision

RATES = (16000, 22050, 32000, 44100, 48000)
"""Those that the API allows."""


class HearModel(nn.Module):
    """What `load_model` returns: sizes and rate, as the API wants them, and the network, to be moved.

    Args:
        embedder: how it embeds.
        batch: clips, or windows of as much sound, that go through the network at once.

    Attributes:
        sample_rate: in Hz; sounds must come in it.
        scene_embedding_size: width of a scene's embedding.
        timestamp_embedding_size: width of a timestamp's.
    """

    def __init__(self, embedder: Embedder, batch: int = 8) -> None:
        super().__init__()
        if batch < 1:
            raise ConfigError(f"batch is {batch}; give 1 or more")
        self.embedder, self.batch = embedder, batch
        self.network = embedder.model
        self.sample_rate = embedder.model.sample_rate
        self.scene_embedding_size = embedder.scene_size
        self.timestamp_embedding_size = embedder.timestamp_size
        self.eval()

    def forward(self, audio: Float[Tensor, "sound sample"]) -> Float[Tensor, "sound dim"]:
        """Embeddings of scenes."""
        return get_scene_embeddings(audio, self)


class Module(NamedTuple):
    """What a HEAR module offers; unpacked into its names."""

    load_model: Callable[..., HearModel]
    get_scene_embeddings: Callable[[Tensor, HearModel], Tensor]
    get_timestamp_embeddings: Callable[[Tensor, HearModel], tuple[Tensor, Tensor]]


def module(default: str, build: Callable[..., Embedder]) -> Module:
    """A HEAR module.

    Args:
        default: the model that is loaded if no path is given: a name that `earmark models` lists.
        build: makes an embedder of the model; what `load_model` is given besides goes to it.

    Example:
        >>> from earmark.hear.sampled import Sampled
        >>> load_model, get_scene_embeddings, get_timestamp_embeddings = module("builtin", Sampled)
        >>> model = load_model()
        >>> embeddings, timestamps = get_timestamp_embeddings(torch.zeros(2, model.sample_rate), model)
        >>> embeddings.shape[:2], timestamps[0, :3].tolist()
        (torch.Size([2, 21]), [0.0, 50.0, 100.0])
    """

    def load_model(
        model_file_path: str = "", *, precision: Precision = "fp32", batch: int = 8, **how: Any
    ) -> HearModel:
        """Load a model.

        Args:
            model_file_path: a checkpoint, a run folder, published weights, or a name that `earmark models`
                lists; the published weights of this module if empty.
            precision: fp32, bf16 or int8, see `with_precision`.
            batch: clips, or windows of as much sound, that go through the network at once.
            how: settings of the embedder.

        Raises:
            ConfigError: the model is not of this module's kind, or no such model.
            CheckpointError: the file is damaged.
        """
        model = load(model_file_path or default)
        if isinstance(model, Ensemble):
            raise ConfigError(f"{model_file_path or default} is an ensemble; give one of its members")
        return HearModel(build(reduced(model, precision), **how), batch)

    return Module(load_model, get_scene_embeddings, get_timestamp_embeddings)


def reduced(model: Tagger, precision: Precision) -> Tagger:
    """The model in fewer bits, in evaluation mode, at a rate that the API allows.

    Raises:
        ConfigError: the rate is another one.
    """
    if model.sample_rate not in RATES:
        rates = ", ".join(map(str, RATES))
        raise ConfigError(f"the model hears {model.sample_rate} Hz; the HEAR API allows {rates}")
    return with_precision(model, precision).eval()


@torch.no_grad()
def get_scene_embeddings(
    audio: Float[Tensor, "sound sample"], model: HearModel
) -> Float[Tensor, "sound dim"]:
    """One vector for each sound.

    Args:
        audio: sounds of one length, from one sample on, at `model.sample_rate`, full scale +-1.
        model: what `load_model` gave.

    Returns:
        float32, on the device of `audio`.

    Raises:
        ValueError: the audio is no batch of sounds, is empty or not finite.
    """
    model.eval()
    return model.embedder.scenes(_checked(audio, model), model.batch).to(audio.device)


@torch.no_grad()
def get_timestamp_embeddings(
    audio: Float[Tensor, "sound sample"], model: HearModel
) -> tuple[Float[Tensor, "sound time dim"], Float[Tensor, "sound time"]]:
    """A vector for each point in time of each sound.

    Args:
        audio: as for `get_scene_embeddings`.
        model: what `load_model` gave.

    Returns:
        Embeddings, and their times in milliseconds, the same for all sounds; both float32, on the device of
        `audio`.

    Raises:
        ValueError: the audio is no batch of sounds, is empty or not finite.
    """
    model.eval()
    found = model.embedder.timestamps(_checked(audio, model), model.batch)
    times = (torch.tensor(model.embedder.times(audio.shape[1]), dtype=torch.float64) * 1000).float()
    return found.to(audio.device), times.to(audio.device).expand(len(audio), -1)


def _checked(audio: Tensor, model: HearModel) -> Float[Tensor, "sound sample"]:
    """Audio where the model is."""
    if audio.ndim != 2 or not audio.numel() or not audio.is_floating_point():
        raise ValueError(
            f"audio is {tuple(audio.shape)} of {audio.dtype}; give sounds x samples of float32, one sample "
            "at least"
        )
    device = next(model.network.parameters()).device
    audio = audio.to(device, torch.float32)
    if not all(bool(edge.isfinite()) for edge in audio.aminmax()):  # isfinite would take more memory
        raise ValueError("audio holds numbers that are not finite; give samples from -1 to 1")
    return audio
