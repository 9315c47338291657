"""What one process pretrains on in one step."""

from typing import NamedTuple

from jaxtyping import Float, Int64
from torch import Tensor


class Crops(NamedTuple):
    """Unlabeled sound: one process's share of a batch.

    Attributes:
        waveform: crops of one length, full scale +-1; a shorter one ends in silence.
        lengths: samples of each that are sound.
        clips: which clips of the corpus they are.
        places: where in the epoch they stand; what is drawn for a crop depends on this.
        total: how many crops the whole batch has, over all processes.
        failures: clips that could not be decoded and were replaced, with the reason.
    """

    waveform: Float[Tensor, "batch sample"]
    lengths: Int64[Tensor, "batch"]
    clips: list[int]
    places: list[int]
    total: int
    failures: dict[int, str]
