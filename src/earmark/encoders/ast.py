"""AST: the first spectrogram transformer without convolutions, with one position for each patch."""

from typing import Any, Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from earmark.encoders.encoding import EncoderDescription, Encoding, Layer, check_size, layers_until
from earmark.encoders.layers import Block, check_heads, init_transformer, trunc_normal
from earmark.encoders.patchout import Patchout, drop_patches
from earmark.encoders.position_grid import resize_grid

IMAGENET_CLASSES = 1000
MAX_PATCHES = 100_000


class AST(EncoderDescription):
    """Audio Spectrogram Transformer.  The defaults are the published one: base, stride 10, 1024 frames.

    `SIZES` has width and heads of the published sizes.

    Attributes:
        n_bands: mel bands that it takes.
        max_frames: frames that the position table is for (1024 for 10 s at a hop of 10 ms).
        patch: height and width of a patch, in bands and frames.
        stride: between patches, in bands (first) and frames.
        dim: width of a token.
        depth: transformer blocks; with none the encoder is the patch projection alone.
        heads: attention heads.
        distilled: a second summary token, DeiT's distillation token, beside the class token.
        pool: what the summary is: the mean of the summary tokens, or the mean of the class token and the
            first patch (lowest bands, first frames), a slip of the published minimal AST that is here to
            reproduce its figures.
        qkv_bias: whether queries, keys and values have a bias.
        final_norm: a layer norm behind the last block.
        eps: of the layer norms.
        dropout: share of tokens and of outputs of layers dropped in training.
        init: weights at first: truncated normal, or, as the published minimal AST, zero tokens and positions
            and torch's own linear layers.
        other_lengths: what happens to input of another length than the table's: an error, or the table is
            resized as the published code does it once for a new length: cut to its middle where shorter,
            interpolated where longer.
        patchout: what is left out in training; none in the published models.
        carry_imagenet: hold DeiT's ImageNet classifiers, which the forward pass never uses, as buffers, so
            that a published checkpoint can be written back whole.

    Example:
        >>> encoder = AST(dim=96, depth=2, heads=3).build().eval()
        >>> encoder(torch.zeros(1, 128, 1024)).summary.shape
        torch.Size([1, 96])
    """

    kind: Literal["AST"] = "AST"
    n_bands: int = Field(default=128, gt=0, le=4096)
    max_frames: int = Field(default=1024, gt=0, le=1_000_000)
    patch: int = Field(default=16, gt=0, le=1024)
    stride: tuple[int, int] = (10, 10)
    dim: int = Field(default=768, gt=0, le=16384)
    depth: int = Field(default=12, ge=0, le=256)
    heads: int = Field(default=12, gt=0)
    distilled: bool = True
    pool: Literal["summary", "class_and_first_patch"] = "summary"
    qkv_bias: bool = True
    final_norm: bool = True
    eps: float = Field(default=1e-6, gt=0, le=0.1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    init: Literal["truncated_normal", "zeros"] = "truncated_normal"
    other_lengths: Literal["error", "resize"] = "error"
    patchout: Patchout = Patchout()
    carry_imagenet: bool = False

    @model_validator(mode="after")
    def _check(self) -> "AST":
        check_heads(self.dim, self.heads)
        if self.distilled and self.pool == "class_and_first_patch":
            raise ValueError("pool class_and_first_patch is for distilled=False; take pool summary")
        if min(self.stride) < 1:
            raise ValueError(f"stride is {self.stride}; both numbers must be 1 or more")
        rows, columns = self.table
        if min(rows, columns) < 1 or rows * columns > MAX_PATCHES:
            raise ValueError(
                f"{self.n_bands} bands x {self.max_frames} frames give {max(0, rows)} x {max(0, columns)} "
                f"patches of {self.patch} at stride {self.stride}; 1 to {MAX_PATCHES} are allowed"
            )
        return self

    @property
    def table(self) -> tuple[int, int]:
        """Rows and columns of the position table."""
        return self.grid(self.max_frames)

    def grid(self, n_frames: int) -> tuple[int, int]:
        """Rows and columns of patches that the convolution gives for `n_frames` frames."""
        return (self.n_bands - self.patch) // self.stride[0] + 1, (n_frames - self.patch) // self.stride[
            1
        ] + 1

    @property
    def n_pooled(self) -> int:
        """How many tokens, from the first on, the summary is the mean of."""
        return 2 if self.pool == "class_and_first_patch" else self.n_summary

    @property
    def min_frames(self) -> int:
        """The shortest input: what fills the position table, or one patch if there is a rule for less."""
        columns = 1 if self.other_lengths == "resize" else self.table[1]
        return (columns - 1) * self.stride[1] + self.patch

    @property
    def longest(self) -> int | None:
        """The longest input in frames; None if there is a rule for longer ones."""
        return None if self.other_lengths == "resize" else self.min_frames + self.stride[1] - 1

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What each block gives; the summary is pooled as at the end, without the last norm."""
        return (self._grid,) * self.depth

    @property
    def _grid(self) -> Layer:
        return Layer(self.dim, self.dim, self.stride[1], (self.patch - 1) / 2)

    @property
    def frame_dim(self) -> int:
        """Width of a frame; there may be no last layer to read it off."""
        return self._grid.frame_dim

    @property
    def frame_stride(self) -> int:
        """Feature frames from one encoded frame to the next."""
        return self._grid.frame_stride

    @property
    def first_frame(self) -> float:
        """Center of the first encoded frame, in feature frames."""
        return self._grid.first_frame

    @property
    def n_summary(self) -> int:
        """How many summary tokens lead the sequence."""
        return 1 + self.distilled

    def build(self) -> "ASTEncoder":
        """The module that computes this, freshly initialized."""
        return ASTEncoder(self)


SIZES: dict[str, dict[str, Any]] = {
    "tiny224": {"dim": 192, "heads": 3},
    "small224": {"dim": 384, "heads": 6},
    "base224": {"dim": 768, "heads": 12},
    "base384": {"dim": 768, "heads": 12},
}
"""The published sizes, by the name of the DeiT that each starts from: `AST(**SIZES["tiny224"])`.

base224 and base384 differ only in what they were pretrained on: images of 224 or of 384 pixels a side.
"""


class ASTEncoder(nn.Module):
    """Computes `AST`; see there.  Parameter names are the published ones, without their `v.`.

    Source:
        Gong et al., arXiv:2104.01778; agrees with recorded outputs of the authors' code, of AudioTagging Done
        Right's copy and, by options, of a minimal AST for ESC-50.  Deviation: input of another length is an
        error or a stated rule, not a mismatch of shapes.
    """

    def __init__(self, config: AST) -> None:
        super().__init__()
        self.config = config
        self.draws: torch.Generator | None = None  # of patchout; the global one if None
        dim, (rows, columns) = config.dim, config.table
        self.cls_token = trunc_normal(1, 1, dim)
        if config.distilled:
            self.dist_token = trunc_normal(1, 1, dim)
        self.pos_embed = trunc_normal(1, config.n_summary + rows * columns, dim)
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(1, dim, config.patch, config.stride)})
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(
            Block(dim, config.heads, eps=config.eps, qkv_bias=config.qkv_bias, dropout=config.dropout)
            for _ in range(config.depth)
        )
        self.norm = nn.LayerNorm(dim, eps=config.eps) if config.final_norm else nn.Identity()
        if config.init == "zeros":
            nn.init.zeros_(self.cls_token)
            nn.init.zeros_(self.pos_embed)
        else:
            self.apply(init_transformer)
        if config.carry_imagenet:
            for name in ("head", "dist")[: config.n_summary]:
                self.register_buffer(f"imagenet_{name}_weight", torch.zeros(IMAGENET_CLASSES, dim))
                self.register_buffer(f"imagenet_{name}_bias", torch.zeros(IMAGENET_CLASSES))

    def forward(self, features: Float[Tensor, "batch band frame"], layer: int | None = None) -> Encoding:
        """Encode a batch of spectrograms.

        Args:
            features: normalized log mel; `config.n_bands` bands, as many frames as the position table is for.
            layer: stop after this block, without the last norm; None for the whole encoder.

        Returns:
            Frames are the mean over frequency of the patches of a column; the summary is what `config.pool`
            says.

        Raises:
            ValueError: another number of bands, or of frames (`other_lengths="error"`), too few for a patch,
                or no such layer.
        """
        until = layers_until(layer, len(self.blocks))
        grid = self.patches(features) + self.positions(features.shape[2])
        patchout = self.config.patchout if self.training else Patchout()
        sequence = self.tokens(drop_patches(grid, patchout, self.draws))
        for block in self.blocks[:until]:
            sequence = block(sequence)
        sequence = self.norm(sequence) if layer is None else sequence
        frames = sequence[:, self.config.n_summary :]
        return Encoding(
            frames=frames if patchout else frames.unflatten(1, (grid.shape[2], -1)).mean(dim=1),
            summary=sequence[:, : self.config.n_pooled].mean(dim=1),
        )

    def summarize(self, features: Float[Tensor, "batch band frame"]) -> Float[Tensor, "batch dim"]:
        """The summary alone: that of `forward`, but the last block computes no more than what is pooled."""
        if self.training or not self.blocks:
            return self(features).summary  # in training the same draws as when frames are wanted too
        grid = self.patches(features) + self.positions(features.shape[2])
        sequence = self.tokens(drop_patches(grid, Patchout()))
        for block in self.blocks[:-1]:
            sequence = block(sequence)
        return self.norm(self.blocks[-1](sequence, first=self.config.n_pooled)).mean(dim=1)

    def patches(self, features: Float[Tensor, "batch band frame"]) -> Float[Tensor, "batch dim row column"]:
        """Cut the spectrogram into patches and project each to a token, without positions."""
        remedy = "pad or cut the features, or set other_lengths"
        check_size(features, self.config, self.config.longest, remedy)
        return self.patch_embed["proj"](features[:, None])

    def positions(self, n_frames: int) -> Float[Tensor, "1 dim row column"]:
        """The position table of the patches, resized where `n_frames` frames give another grid."""
        table = self.pos_embed[:, self.config.n_summary :].transpose(1, 2).unflatten(2, self.config.table)
        return resize_grid(table, self.config.grid(n_frames))

    def tokens(self, sequence: Float[Tensor, "batch patch dim"]) -> Float[Tensor, "batch token dim"]:
        """Put the summary tokens, with their positions, before the patches."""
        summary = self.cls_token
        if self.config.distilled:
            summary = torch.cat([self.cls_token, self.dist_token], dim=1)
        summary = (summary + self.pos_embed[:, : self.config.n_summary]).expand(sequence.shape[0], -1, -1)
        return self.dropout(torch.cat([summary, sequence], dim=1))
