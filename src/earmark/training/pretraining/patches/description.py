"""The description of masked patches: how many are hidden, and what is to be told of them."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from earmark.config import Frozen
from earmark.training.pretraining.health import Collapse

Side = Annotated[int, Field(ge=1, le=1000)]


class PatchClusters(Frozen):
    """Clusters of patches, found once by k-means and then fixed.

    Attributes:
        count: how many.
        batches: patches are collected from so many; nothing is learned from these.
        patches: at most so many, evenly from all clips.
        rounds: of k-means after k-means++.
    """

    count: int = Field(default=128, ge=2, le=65_536)
    batches: int = Field(default=10, ge=1, le=100_000)
    patches: int = Field(default=20_000, ge=1, le=10_000_000)
    rounds: int = Field(default=20, ge=0, le=10_000)


class MaskedPatches(Frozen):
    """Tell what hidden patches of a spectrogram hold, from a few that are heard.

    The encoder hears only what is left, as under patchout, and so takes a fraction of the time.  A small
    decoder, which is thrown away afterwards, gets its tokens and the places of the hidden patches.

    Where patches overlap, only the parts of a hidden patch that no heard patch covers count.

    Attributes:
        hidden: share of the patches that the encoder does not hear.
        block: patches are hidden together in blocks of so many rows and columns.  Neighbors that overlap, or
            that sound alike, make single patches easy to tell.
        clusters: tell the cluster of a hidden patch; None: tell its content.
        standardize: targets have mean 0 and deviation 1 in each patch, so that its loudness does not count,
            or in each clip.
        decoder_dim: width of the decoder.
        decoder_depth: its blocks.
        decoder_heads: its attention heads.
        collapse: when a run ends because all clips have the same embedding; None for never.

    Source:
        He et al., arXiv:2111.06377 (MAE), and Huang et al., arXiv:2207.06405 (Audio-MAE); clusters as in
        HuBERT, arXiv:2106.07447.  Ours: blocks, a decoder that reads the encoder's own table of positions
        and whose attention is global, and overlapping patches.

    Example:
        >>> MaskedPatches().kept(96), MaskedPatches(hidden=0.999).kept(96)
        (24, 1)
    """

    kind: Literal["MaskedPatches"] = "MaskedPatches"
    hidden: float = Field(default=0.75, gt=0, lt=1)
    block: tuple[Side, Side] = (1, 1)
    clusters: PatchClusters | None = None
    standardize: Literal["patch", "clip"] = "patch"
    decoder_dim: int = Field(default=128, gt=0, le=4096)
    decoder_depth: int = Field(default=2, ge=1, le=64)
    decoder_heads: int = Field(default=4, gt=0, le=256)
    collapse: Collapse | None = Collapse()

    @model_validator(mode="after")
    def _check(self) -> "MaskedPatches":
        if self.decoder_dim % self.decoder_heads:
            raise ValueError(
                f"decoder_dim is {self.decoder_dim} but decoder_heads is {self.decoder_heads}; decoder_dim "
                "must be a multiple of decoder_heads"
            )
        return self

    def kept(self, patches: int) -> int:
        """How many of so many patches the encoder hears: one at least, and one less than all at most."""
        return max(1, min(patches - 1, round(patches * (1 - self.hidden))))
