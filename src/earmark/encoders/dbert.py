"""dBERT: learned filters on the waveform, and a transformer that was trained to guess clusters."""

from typing import Annotated, Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, model_validator
from torch import Tensor, nn

from earmark.encoders.clusters import Clusters, CosineHead, Similarities
from earmark.encoders.dbert_layers import ConvFeatures, DBERTLayer, MaskEmbedding, PositionalConv
from earmark.encoders.encoding import EncoderDescription, Encoding, Layer, layers_until

Channels = Annotated[int, Field(ge=1, le=4096)]
Kernel = Annotated[int, Field(ge=1, le=128)]
Stride = Annotated[int, Field(ge=1, le=128)]
LONGEST_FIELD = 160_000
CONVS = ((512, 10, 5), *((512, 3, 2),) * 4, *((512, 2, 2),) * 2)


class DBERT(EncoderDescription):
    """A BERT on raw audio with a summary token.  It takes any length from its receptive field on.

    Attributes:
        convs: channels, kernel and stride of each convolution; the published ones give a frame of 25 ms every
            20 ms at 16 kHz.
        width: of a token inside the transformer.
        depth: transformer layers.
        heads: attention heads.
        ff_multiple: width of the feed-forward layer over `width`.
        position_kernel: frames that the positional convolution sees.
        position_groups: its groups.
        summary_dim: width of the projected summary.
        dropout: share dropped inside the layers in training.
        layer: the encoder's end is after this many layers, as they come, without the projections; the
            published package takes 16.  None: all layers and the projections.
        clusters: the parts of pre-training, cluster heads and mask embedding, which encoding does not use;
            None leaves them out.
        first_norm: behind the first convolution "channel" evens out each channel of a clip by itself, as
            published, which takes its mean spectrum away; "clip" all together, only its loudness.
        filters: the first convolution begins "random", as published, or as `dbert_layers.band_filters`.
        weight_norm: the positional convolution is kept as direction and length; False where they were
            multiplied out.

    Example:
        >>> encoder = DBERT(width=96, depth=2, heads=3).build().eval()
        >>> encoding = encoder(torch.zeros(1, 1, 16000))
        >>> encoding.frames.shape, encoding.summary.shape
        (torch.Size([1, 49, 512]), torch.Size([1, 128]))
    """

    kind: Literal["DBERT"] = "DBERT"
    convs: tuple[tuple[Channels, Kernel, Stride], ...] = Field(default=CONVS, min_length=1, max_length=16)
    width: int = Field(default=768, gt=0, le=16384)
    depth: int = Field(default=12, gt=0, le=256)
    heads: int = Field(default=8, gt=0)
    ff_multiple: int = Field(default=4, gt=0, le=64)
    position_kernel: int = Field(default=128, gt=0, le=4096)
    position_groups: int = Field(default=16, gt=0)
    summary_dim: int = Field(default=128, gt=0, le=16384)
    dropout: float = Field(default=0.1, ge=0, lt=1)
    layer: int | None = Field(default=None, gt=0)
    clusters: Clusters | None = None
    first_norm: Literal["channel", "clip"] = "channel"
    filters: Literal["random", "bands"] = "random"
    weight_norm: bool = True

    @model_validator(mode="after")
    def _check(self) -> "DBERT":
        for name in ("heads", "position_groups"):
            if self.width % getattr(self, name):
                raise ValueError(
                    f"width is {self.width} but {name} is {getattr(self, name)}; take a multiple of that"
                )
        if self.layer is not None and self.layer > self.depth:
            raise ValueError(f"layer is {self.layer} but depth is {self.depth}; give 1 to {self.depth}")
        if self.min_frames > LONGEST_FIELD:
            raise ValueError(
                f"convs make frames of {self.min_frames} samples; {LONGEST_FIELD} are allowed; take smaller "
                "strides, or fewer convolutions"
            )
        return self

    def n_frames(self, n_samples: int) -> int:
        """How many encoded frames `n_samples` samples give; 0 below `min_frames`.

        Example:
            >>> DBERT().n_frames(16080)
            50
        """
        return max(0, 1 + (n_samples - self.min_frames) // self.frame_stride)

    @property
    def n_bands(self) -> int:
        """The waveform is one band."""
        return 1

    @property
    def conv_dim(self) -> int:
        """Width of the convolutional features, and of a projected frame."""
        return self.convs[-1][0]

    @property
    def dim(self) -> int:
        """Width of the summary."""
        return self.summary_dim if self.layer is None else self.width

    @property
    def frame_dim(self) -> int:
        """Width of a frame."""
        return self.conv_dim if self.layer is None else self.width

    @property
    def min_frames(self) -> int:
        """The shortest input: the receptive field of a frame, in samples."""
        field = 1
        for _, kernel, stride in reversed(self.convs):
            field = (field - 1) * stride + kernel
        return field

    @property
    def frame_stride(self) -> int:
        """Samples from one encoded frame to the next."""
        product = 1
        for _, _, stride in self.convs:
            product *= stride
        return product

    @property
    def first_frame(self) -> float:
        """Center of the first encoded frame, in samples."""
        return (self.min_frames - 1) / 2

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What each transformer layer gives; published layer 16 is index 15."""
        return (Layer(self.width, self.width, self.frame_stride, self.first_frame),) * self.depth

    def build(self) -> "DBERTEncoder":
        """The module that computes this, freshly initialized."""
        return DBERTEncoder(self)


class DBERTEncoder(nn.Module):
    """Computes `DBERT`; see there.  Parameter names are the published ones, but for the weight norm's.

    Source:
        audio_dbert (github.com/RF5/audio_dbert), class `DBERT2`; agrees with its recorded outputs.
        Initialization: wav2vec 2.0's for the convolutions, torch's transformer layer's for the rest.
    """

    masker: MaskEmbedding

    def __init__(self, config: DBERT) -> None:
        super().__init__()
        self.config = config
        width, conv_dim, same = config.width, config.conv_dim, config.width == config.conv_dim
        self.conv_extractor1 = ConvFeatures(config.convs, config.first_norm, config.filters)
        self.post_extract_proj = nn.Identity() if same else nn.Linear(conv_dim, width)
        self.layernorm = nn.LayerNorm(width)
        self.positional_embedding = PositionalConv(
            width, config.position_kernel, config.position_groups, config.weight_norm
        )
        self.summary_embedder = nn.ModuleDict({"embedding": nn.Embedding(1, width)})
        self.transformer_layers = nn.ModuleList(
            DBERTLayer(width, config.heads, config.ff_multiple * width, config.dropout)
            for _ in range(config.depth)
        )
        self.final_proj = nn.Identity() if same else nn.Linear(width, conv_dim)
        self.summary_proj = nn.Linear(width, config.summary_dim)
        if config.clusters is not None:
            self._add_clusters(config.clusters)

    def _add_clusters(self, clusters: Clusters) -> None:
        frame, summary = self.config.conv_dim, self.config.summary_dim
        self.masker = MaskEmbedding(self.config.width)
        self.s_heads = nn.ModuleList(CosineHead(n, summary) for n in clusters.summary)
        self.c_heads = nn.ModuleList(CosineHead(n, frame, summary) for n in clusters.conv)
        self.o_heads = nn.ModuleList(CosineHead(n, frame, summary) for n in clusters.output)

    def forward(self, features: Float[Tensor, "batch band sample"], layer: int | None = None) -> Encoding:
        """Encode a batch of waveforms.

        Args:
            features: the waveform as one band, full scale +-1.
            layer: stop after this layer, without the projections; None for the encoder's end.

        Returns:
            Frames and the summary token, projected where all layers are the encoder's end.

        Raises:
            ValueError: too few samples for a frame; or no such layer.
        """
        return self.contextualize(self.conv_features(features), layer=layer)

    def conv_features(
        self, features: Float[Tensor, "batch band sample"]
    ) -> Float[Tensor, "batch frame conv"]:
        """What the convolutions give, before the projection.

        Raises:
            ValueError: more than one band, or too few samples for a frame.
        """
        if features.shape[1] != self.config.n_bands:
            raise ValueError(
                f"DBERT got {features.shape[1]} bands x {features.shape[2]} samples; it takes "
                f"{self.config.n_bands} band, the waveform; give it what a RawWaveform gives"
            )
        if features.shape[2] < self.config.min_frames:
            raise ValueError(
                f"dBERT got {features.shape[2]} samples; its first frame takes {self.config.min_frames}; "
                "give that many or more"
            )
        return self.conv_extractor1(features)

    def contextualize(
        self,
        conv: Float[Tensor, "batch frame conv"],
        *,
        masked: Bool[Tensor, "batch frame"] | None = None,
        lengths: Int[Tensor, "batch"] | None = None,
        layer: int | None = None,
    ) -> Encoding:
        """Let frames know of one another.

        Args:
            conv: what `conv_features` gives.
            masked: frames that are hidden behind the mask embedding.
            lengths: frames of each clip; what is beyond is padding, which attention leaves out.  The group
                norm and the positional convolution have seen it, as in the published code.
            layer: as for `forward`.

        Returns:
            As `forward`; frames of padding hold numbers without meaning.

        Raises:
            ValueError: frames are masked but the encoder has no mask embedding; or no such layer.
        """
        until = self.config.layer or self.config.depth
        if layer is not None:
            until = layers_until(layer, self.config.depth)
        frames = self.layernorm(self.post_extract_proj(conv))
        if masked is not None:
            self._check_clusters()
            frames = self.masker(frames, masked)
        frames = frames + self.positional_embedding(frames)
        first = torch.zeros(frames.shape[0], 1, dtype=torch.long, device=frames.device)
        token = self.summary_embedder["embedding"](first)
        sequence = torch.cat([token, frames], dim=1)
        valid = None
        if lengths is not None:
            places = torch.arange(sequence.shape[1], device=sequence.device)
            valid = places <= lengths[:, None]
        for block in self.transformer_layers[:until]:
            sequence = block(sequence, valid)
        summary, frames = sequence[:, 0], sequence[:, 1:]
        if layer is None and self.config.layer is None:
            return Encoding(frames=self.final_proj(frames), summary=self.summary_proj(summary))
        return Encoding(frames=frames, summary=summary)

    def similarities(self, encoding: Encoding) -> Similarities:
        """What the cluster heads say of a projected encoding.

        Heads on frames see the clip's summary too.  Those of the convolutional clusters and of the output
        clusters see the same frames; what they are trained against makes the difference.

        Raises:
            ValueError: the encoder has no cluster heads, or the encoding is of another width.
        """
        self._check_clusters()
        summary, frames = encoding.summary, encoding.frames
        wanted = (self.config.summary_dim, self.config.conv_dim)
        if (summary.shape[-1], frames.shape[-1]) != wanted:
            raise ValueError(
                f"cluster heads take a summary and frames of {wanted} numbers, got "
                f"{(summary.shape[-1], frames.shape[-1])}; give what all layers and the projections gave"
            )
        return Similarities(
            summary=[head(summary) for head in self.s_heads],
            conv=[head(frames, summary) for head in self.c_heads],
            output=[head(frames, summary) for head in self.o_heads],
        )

    def _check_clusters(self) -> None:
        if self.config.clusters is None:
            raise ValueError(
                "this dBERT has no mask embedding and no cluster heads; describe its clusters, as in "
                "DBERT(clusters=Clusters())"
            )


def joined(encoding: Encoding) -> Float[Tensor, "batch frame wide"]:
    """The clip summary before each frame: the published embedding of a frame; their mean is that of a scene.

    Example:
        >>> joined(Encoding(frames=torch.zeros(2, 49, 512), summary=torch.zeros(2, 128))).shape
        torch.Size([2, 49, 640])
    """
    summary = encoding.summary[:, None].expand(-1, encoding.frames.shape[1], -1)
    return torch.cat([summary, encoding.frames], dim=2)
