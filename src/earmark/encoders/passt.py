"""PaSST: a spectrogram transformer with separate positions for frequency and time, trained with patchout."""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field, model_validator
from torch import Tensor, nn

from earmark.encoders.encoding import EncoderDescription, Encoding, Layer, check_size, layers_until
from earmark.encoders.layers import Block, check_heads, init_transformer, trunc_normal
from earmark.encoders.patchout import Patchout, drop_patches


class PaSST(EncoderDescription):
    """Patchout faSt Spectrogram Transformer.  The defaults are the published PaSST-S (stride 10, 10 s).

    Attributes:
        n_bands: mel bands that it takes.
        max_frames: frames that the time table was built for (998 for 10 s at a hop of 10 ms).
        patch: height and width of a patch, in bands and frames.
        stride: between patches, in bands (first) and frames.
        dim: width of a token.
        depth: transformer blocks.
        heads: attention heads.
        distilled: a second summary token, DeiT's distillation token; the summary is the mean of both.
        channels: 1, or more for a stack of spectrograms (batch channel band frame).
        patchout: what is left out in training.
        short_input: which part of the time table a shorter training input gets: a random one (PaSST's
            training code) or the first (hear21passt).  Evaluation always takes the first.
        long_input: what happens to input beyond the time table: an error, its end is cut (PaSST's training
            code), or the table is interpolated (not published; untested on real weights).

    Example:
        >>> encoder = PaSST(dim=96, depth=2, heads=3).build().eval()
        >>> encoder(torch.zeros(1, 128, 998)).summary.shape
        torch.Size([1, 96])
    """

    kind: Literal["PaSST"] = "PaSST"
    n_bands: int = Field(default=128, gt=0, le=4096)
    max_frames: int = Field(default=998, gt=0, le=1_000_000)
    patch: int = Field(default=16, gt=0, le=1024)
    stride: tuple[int, int] = (10, 10)
    dim: int = Field(default=768, gt=0, le=16384)
    depth: int = Field(default=12, gt=0, le=256)
    heads: int = Field(default=12, gt=0)
    distilled: bool = True
    channels: int = Field(default=1, gt=0, le=64)
    patchout: Patchout = Patchout()
    short_input: Literal["random", "first"] = "random"
    long_input: Literal["error", "cut", "interpolate"] = "error"

    @model_validator(mode="after")
    def _check(self) -> "PaSST":
        check_heads(self.dim, self.heads)
        if min(self.stride) < 1:
            raise ValueError(f"stride is {self.stride}; both numbers must be 1 or more")
        if min(self.n_bands, self.max_frames) < self.patch:
            raise ValueError(
                f"a patch of {self.patch} does not fit {self.n_bands} bands x {self.max_frames} frames; "
                "take a smaller patch"
            )
        if any(have < need for have, need in zip(self.table, self.grid(self.max_frames), strict=True)):
            raise ValueError(
                f"stride {self.stride} gives position tables of {self.table} for a grid of "
                f"{self.grid(self.max_frames)} patches; take a stride that divides the input more finely"
            )
        return self

    @property
    def table(self) -> tuple[int, int]:
        """Rows and columns of the position tables.

        The published code divides the input size by the stride, which at stride 12 gives one column more
        than the convolution does; checkpoints have that column.
        """
        return self.n_bands // self.stride[0], self.max_frames // self.stride[1]

    def grid(self, n_frames: int) -> tuple[int, int]:
        """Rows and columns of patches that the convolution gives for `n_frames` frames."""
        return (
            (self.n_bands - self.patch) // self.stride[0] + 1,
            (n_frames - self.patch) // self.stride[1] + 1,
        )

    @property
    def min_frames(self) -> int:
        """The shortest input: one patch."""
        return self.patch

    @property
    def longest(self) -> int | None:
        """The longest input of which everything is heard, in frames; None where the table is interpolated."""
        if self.long_input == "interpolate":
            return None
        return self.table[1] * self.stride[1] + self.patch - 1

    @property
    def layers(self) -> tuple[Layer, ...]:
        """What each block gives; the summary is the mean of the summary tokens, without the last norm."""
        return (Layer(self.dim, self.dim, self.stride[1], (self.patch - 1) / 2),) * self.depth

    def build(self) -> "PaSSTEncoder":
        """The module that computes this, freshly initialized."""
        return PaSSTEncoder(self)


class PaSSTEncoder(nn.Module):
    """Computes `PaSST`; see there.  Parameter names are the published ones.

    Source:
        Koutini et al., arXiv:2110.05069; agrees with recorded outputs of PaSST's training code and of
        hear21passt.  Deviation: a random time offset is drawn from the columns that are left after a cut.
    """

    def __init__(self, config: PaSST) -> None:
        super().__init__()
        self.config = config
        self.draws: torch.Generator | None = None  # of patchout; the global one if None
        dim, (rows, columns) = config.dim, config.table
        self.cls_token = trunc_normal(1, 1, dim)
        if config.distilled:
            self.dist_token = trunc_normal(1, 1, dim)
        self.new_pos_embed = trunc_normal(1, 1 + config.distilled, dim)
        self.freq_new_pos_embed = trunc_normal(1, dim, rows, 1)
        self.time_new_pos_embed = trunc_normal(1, dim, 1, columns)
        self.patch_embed = nn.ModuleDict(
            {"proj": nn.Conv2d(config.channels, dim, config.patch, config.stride)}
        )
        self.blocks = nn.ModuleList(Block(dim, config.heads) for _ in range(config.depth))
        self.norm = nn.LayerNorm(dim, eps=1e-6)
        self.apply(init_transformer)

    def forward(
        self,
        features: Float[Tensor, "batch band frame"] | Float[Tensor, "batch channel band frame"],
        layer: int | None = None,
    ) -> Encoding:
        """Encode a batch of spectrograms.

        Args:
            features: normalized log mel; `config.n_bands` bands, at least one patch of frames.
            layer: stop after this block, without the last norm; None for the whole encoder.

        Returns:
            Frames are the mean over frequency of the patches of a column; the summary is the mean of the
            class and the distillation token.

        Raises:
            ValueError: too few frames for a patch, or more than the time table has under
                `long_input="error"`; or no such layer.
        """
        until = layers_until(layer, len(self.blocks))
        grid = self.add_positions(self.patches(features))
        rows = grid.shape[2]
        sequence = self.tokens(grid)
        for block in self.blocks[:until]:
            sequence = block(sequence)
        if layer is None:
            sequence = self.norm(sequence)
        n_summary = self.new_pos_embed.shape[1]
        frames = sequence[:, n_summary:]
        if not (self.training and self.config.patchout):
            frames = frames.unflatten(1, (rows, -1)).mean(dim=1)
        return Encoding(frames=frames, summary=sequence[:, :n_summary].mean(dim=1))

    def summarize(self, features: Float[Tensor, "batch band frame"]) -> Float[Tensor, "batch dim"]:
        """The summary alone: that of `forward`, and the last block computes the summary tokens only.

        In training too: the draws are the same, and so are the gradients.
        """
        sequence = self.tokens(self.add_positions(self.patches(features)))
        for block in self.blocks[:-1]:
            sequence = block(sequence)
        return self.norm(self.blocks[-1](sequence, first=self.new_pos_embed.shape[1])).mean(dim=1)

    def patches(
        self, features: Float[Tensor, "batch band frame"] | Float[Tensor, "batch channel band frame"]
    ) -> Float[Tensor, "batch dim row column"]:
        """Cut the spectrogram into patches and project each to a token, without positions."""
        if features.ndim == 3:
            features = features[:, None]
        check_size(features, self.config)
        return self.patch_embed["proj"](features)

    def add_positions(self, grid: Float[Tensor, "batch dim row column"]) -> Float[Tensor, "batch dim row _"]:
        """Add the time table, by the config's rules where its length differs, and the frequency table."""
        table, columns = self.time_new_pos_embed, grid.shape[3]
        longest = table.shape[3]
        if columns < longest:
            random = self.training and self.config.short_input == "random"
            offset = int(torch.randint(1 + longest - columns, (1,), generator=self.draws)) if random else 0
            table = table[..., offset : offset + columns]
        elif columns > longest:
            if self.config.long_input == "error":
                raise ValueError(
                    f"PaSST got {columns} columns of patches but its time table has {longest} "
                    f"({self.config.max_frames} frames); cut the audio into windows, or set long_input"
                )
            if self.config.long_input == "cut":
                grid = grid[..., :longest]
            else:
                table = nn.functional.interpolate(table, (1, columns), mode="bilinear", align_corners=False)
        return grid + table + self.freq_new_pos_embed[:, :, : grid.shape[2]]

    def tokens(self, grid: Float[Tensor, "batch dim row column"]) -> Float[Tensor, "batch token dim"]:
        """Flatten a grid with positions, with patchout in training, behind the summary tokens."""
        patchout = self.config.patchout if self.training else Patchout()
        return self.behind_summary(drop_patches(grid, patchout, self.draws))

    def behind_summary(self, sequence: Float[Tensor, "batch patch dim"]) -> Float[Tensor, "batch token dim"]:
        """Put patches behind the summary tokens with their positions."""
        summary = self.cls_token
        if self.config.distilled:
            summary = torch.cat([self.cls_token, self.dist_token], dim=1)
        summary = (summary + self.new_pos_embed).expand(sequence.shape[0], -1, -1)
        return torch.cat([summary, sequence], dim=1)
