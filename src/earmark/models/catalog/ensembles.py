"""Published ensembles: which models together, and what their authors say of them."""

from pydantic import Field

from earmark.config import Frozen


class Combination(Frozen):
    """Models whose logits are averaged.

    Attributes:
        name: what `earmark.load` takes.
        members: names of published models.
        score: the authors' own mAP on AudioSet for it.
    """

    name: str
    members: tuple[str, ...] = Field(min_length=2)
    score: float


_FOUR = ("passt-s.as2m-swa", "passt-s-s12.as2m-swa", "passt-s-s14.as2m-swa", "passt-s-s16.as2m-swa")
_NINE = ("", "-2", "-3", "-noim", "-noim-2", "-noim-3", "-ext", "-ext-2", "-ext-3")

ENSEMBLES: tuple[Combination, ...] = (
    Combination(
        name="passt-ensemble-s10",
        members=("passt-s.as2m-swa", "passt-s.as2m-swa-4761", "passt-s.as2m"),
        score=0.4864,
    ),
    Combination(
        name="passt-ensemble-s16-s14",
        members=("passt-s-s14.as2m-swa", "passt-s-s16.as2m-swa"),
        score=0.48579,
    ),
    Combination(name="passt-ensemble-4", members=_FOUR, score=0.4926),
    Combination(name="passt-ensemble-5", members=(*_FOUR, "passt-s.as2m-swa-4761"), score=0.49459),
    Combination(
        name="passt-ensemble-many",
        members=(
            "passt-s.as2m-swa",
            "passt-s.as2m-swa-4761",
            "passt-s.as2m",
            "passt-s-s12.as2m",
            "passt-s-s12.as2m-swa",
            "passt-s-s14.as2m",
            "passt-s-s14.as2m-swa",
            "passt-s-s16.as2m-swa",
            "passt-s-s16.as2m",
        ),
        score=0.4956,
    ),
    Combination(name="mn-ensemble-9", members=tuple(f"mn40.as2m{tail}" for tail in _NINE), score=0.498),
)
"""The ensembles of PaSST (its repository's `ensemble_...` configurations) and of EfficientAT (nine mn40)."""

ENSEMBLE_BY_NAME = {entry.name: entry for entry in ENSEMBLES}
