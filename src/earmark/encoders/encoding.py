"""What every encoder returns."""

from typing import NamedTuple

from jaxtyping import Float
from torch import Tensor


class Encoding(NamedTuple):
    """An encoded batch of clips.

    Attributes:
        frames: what is heard when, earliest first, on the grid that the encoder's config states
            (`frame_dim`, `frame_stride`, `first_frame`).  In training with patchout: the
            tokens that were kept.
        summary: one vector for the whole clip.
    """

    frames: Float[Tensor, "batch frame frame_dim"]
    summary: Float[Tensor, "batch dim"]
