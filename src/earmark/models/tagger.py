"""The one model: waveform to features to encoding to logits."""

from contextlib import nullcontext
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from earmark.config import ConfigError, Frozen
from earmark.encoders import EncoderConfig, Encoding
from earmark.frontends import FrontendConfig
from earmark.labels import LabelSet
from earmark.models.heads import HeadConfig, LinearHead

MAX_PARAMETERS = 4_000_000_000
"""The largest model that is built, 16 GB of memory; the largest published one has 0.3 thousand million."""


class TaggerConfig(Frozen):
    """A complete model: what it hears, how it hears, and what it calls things.

    Attributes:
        frontend: waveform to features.
        encoder: features to an encoding.
        head: encoding to logits; None for an embedding model.
        labels: what the logits are called.
        clip_seconds: length of the clips it was trained on; longer audio is cut into windows of this length.
        padding: how a shorter sound is brought to that length: repeated from its start ("loop"), followed by
            silence ("zeros"), or not at all ("none").

    Example:
        >>> from earmark.encoders import PaSST
        >>> from earmark.frontends import LogMel
        >>> TaggerConfig(frontend=LogMel(n_mels=64), encoder=PaSST(), labels=LabelSet(names=("Dog",)))
        Traceback (most recent call last):
        earmark.config.ConfigError: frontend has 64 bands but encoder.n_bands is 128; they must be equal
    """

    frontend: FrontendConfig
    encoder: EncoderConfig
    head: HeadConfig | None = LinearHead()
    labels: LabelSet = LabelSet()
    clip_seconds: float = Field(default=10.0, gt=0, le=600)
    padding: Literal["none", "zeros", "loop"] = "none"

    @model_validator(mode="after")
    def _check(self) -> "TaggerConfig":
        if self.frontend.n_bands != self.encoder.n_bands:
            raise ValueError(
                f"frontend has {self.frontend.n_bands} bands but encoder.n_bands is {self.encoder.n_bands}; "
                "they must be equal"
            )
        frames = self.frontend.n_frames(round(self.clip_seconds * self.frontend.sample_rate))
        longest = self.encoder.longest
        if longest is not None and frames > longest:
            raise ValueError(
                f"clip_seconds is {self.clip_seconds:g}, which is {frames} frames, but the encoder takes "
                f"{longest} at most; take shorter clips, or an encoder built for more frames"
            )
        self.frontend.samples_for(self.encoder.min_frames)  # one of fixed length refuses what it cannot give
        if frames < self.encoder.min_frames:
            raise ValueError(
                f"clip_seconds is {self.clip_seconds:g}, which is {frames} frames, but the encoder needs "
                f"{self.encoder.min_frames}; take longer clips, a front end that fills up to a fixed length, "
                "or an encoder built for fewer frames"
            )
        if self.head is not None and not self.labels.names:
            raise ValueError("a head needs labels; give labels, or head=None for an embedding model")
        return self

    def build(self) -> "Tagger":
        """The model, freshly initialized from torch's global generator.

        Raises:
            ConfigError: it would have more than `MAX_PARAMETERS` parameters; nothing was allocated.
        """
        count = Tagger(self, hollow=True).count_parameters()
        if count > MAX_PARAMETERS:
            raise ConfigError(
                f"this description has {count:,} parameters; at most {MAX_PARAMETERS:,} are built: take "
                "a smaller width or depth"
            )
        return Tagger(self)


class Tagger(nn.Module):
    """Computes `TaggerConfig`: tags and embeddings of a batch of waveforms.

    Args:
        config: the description.
        hollow: leave encoder and head without memory, for a checkpoint's weights to be assigned to.

    Example:
        >>> from earmark.encoders import ResidualCNN
        >>> from earmark.frontends import LogMel
        >>> config = TaggerConfig(
        ...     frontend=LogMel(n_mels=64), encoder=ResidualCNN(), labels=LabelSet(names=("Dog", "Rain"))
        ... )
        >>> model = config.build().eval()
        >>> model(torch.zeros(3, 32000)).shape
        torch.Size([3, 2])
    """

    def __init__(self, config: TaggerConfig, *, hollow: bool = False) -> None:
        super().__init__()
        self.config = config
        self.frontend = config.frontend.build()
        with torch.device("meta") if hollow else nullcontext():
            self.encoder = config.encoder.build()
            self.head = _head(config)

    @property
    def labels(self) -> LabelSet:
        """What the logits are called."""
        return self.config.labels

    @property
    def sample_rate(self) -> int:
        """The rate that waveforms must have, in Hz."""
        return self.config.frontend.sample_rate

    @property
    def min_samples(self) -> int:
        """The shortest waveform that gives one encoded frame."""
        return self.config.frontend.samples_for(self.config.encoder.min_frames)

    @property
    def clip_seconds(self) -> float:
        """Length of the clips that it was trained on, and of the windows that longer audio is cut into."""
        return self.config.clip_seconds

    @property
    def padding(self) -> Literal["none", "zeros", "loop"]:
        """How a shorter sound is brought to that length."""
        return self.config.padding

    @property
    def has_head(self) -> bool:
        """Whether it gives logits."""
        return self.head is not None

    @property
    def embedding_dim(self) -> int:
        """Width of a clip's summary."""
        return self.config.encoder.dim

    @property
    def frame_seconds(self) -> float:
        """Seconds from one encoded frame to the next."""
        return self.config.encoder.frame_stride * self.config.frontend.frame_seconds

    @property
    def first_frame_seconds(self) -> float:
        """Center of the first encoded frame, in seconds from the start of the waveform."""
        frontend = self.config.frontend
        return frontend.first_frame_seconds + self.config.encoder.first_frame * frontend.frame_seconds

    def encode(self, waveform: Float[Tensor, "batch sample"], layer: int | None = None) -> Encoding:
        """Frame and clip embeddings of waveforms at `sample_rate`, full scale +-1.

        Args:
            waveform: as for `forward`.
            layer: stop after this layer of the encoder, whose `config.encoder.layers` tells what it gives.
        """
        return self.encoder(self.frontend(waveform), layer)

    def forward(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch class"]:
        """Logits of waveforms at `sample_rate`, full scale +-1.

        Raises:
            ValueError: the model has no head, or the waveform is shorter than `min_samples`.
        """
        return self.logits_and_summary(waveform)[0]

    def logits_and_summary(
        self, waveform: Float[Tensor, "batch sample"]
    ) -> tuple[Float[Tensor, "batch class"], Float[Tensor, "batch dim"]]:
        """Logits and clip embeddings: those of `both`, for less work where no frames are needed."""
        if getattr(self.head, "reads_frames", True):
            logits, encoding = self.both(waveform)
            return logits, encoding.summary
        summary = self.summarize(waveform)
        no_frames = summary.new_zeros(len(summary), 0, self.config.encoder.frame_dim)
        return self.classify(Encoding(no_frames, summary)), summary

    def summarize(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch dim"]:
        """Clip embeddings alone: `encode(waveform).summary`, for less work where the encoder knows how."""
        features = self.frontend(waveform)
        shortcut = getattr(self.encoder, "summarize", None)
        return self.encoder(features).summary if shortcut is None else shortcut(features)

    def both(self, waveform: Float[Tensor, "batch sample"]) -> tuple[Float[Tensor, "batch class"], Encoding]:
        """Logits and encoding, computed once."""
        encoding = self.encode(waveform)
        return self.classify(encoding), encoding

    def padded(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch longer"]:
        """Waveforms brought to the length of a clip by the model's rule; longer ones stay as they are."""
        samples = waveform.shape[1]
        wanted = round(self.clip_seconds * self.sample_rate) if self.padding != "none" else 0
        if self.padding == "loop" and samples < wanted:
            waveform = waveform.repeat(1, -(-wanted // samples))[:, :wanted]
        missing = max(wanted, self.min_samples) - waveform.shape[1]
        return nn.functional.pad(waveform, (0, missing)) if missing > 0 else waveform

    def classify(self, encoding: Encoding) -> Float[Tensor, "batch class"]:
        """Logits of an encoding.

        Raises:
            ValueError: the model has no head.
        """
        if self.head is None:
            raise ValueError(
                "this model has no head and gives embeddings only; fine-tune it, or use another to tag"
            )
        return self.head(encoding)

    @property
    def has_frame_scores(self) -> bool:
        """Whether its head scores each encoded frame, besides the clip."""
        return hasattr(self.head, "frame_probabilities")

    def frame_probabilities(
        self, waveform: Float[Tensor, "batch sample"]
    ) -> Float[Tensor, "batch frame class"]:
        """What is heard when: the probability of each label in each encoded frame.

        Raises:
            ValueError: the head does not score frames.
        """
        scores = getattr(self.head, "frame_probabilities", None)
        if scores is None:
            raise ValueError("the head of this model does not score frames; score windows, by `forward`")
        return scores(self.encode(waveform).frames)

    def probabilities(self, logits: Float[Tensor, "*batch class"]) -> Float[Tensor, "*batch class"]:
        """Softmax where one label excludes the others, a sigmoid for each where not."""
        return logits.softmax(dim=-1) if self.labels.exclusive else logits.sigmoid()

    def count_parameters(self) -> int:
        """How many learned numbers the model has."""
        return sum(parameter.numel() for parameter in self.parameters())


def _head(config: TaggerConfig) -> nn.Module | None:
    if config.head is None:
        return None
    return config.head.build(config.encoder.dim, config.encoder.frame_dim, len(config.labels))
