"""What is known of a published checkpoint before it is fetched."""

from typing import Literal

from pydantic import Field

from earmark.config import Frozen


class Published(Frozen):
    """One published checkpoint.

    Attributes:
        name: architecture-size.weights; what `earmark.load` takes.
        family: under which heading `earmark models` lists it.
        url: where the authors published the file.
        score: the authors' own figure for it; None where they give none.
        metric: what the figure is.
        classes: how many; 527 are AudioSet's, 50 ESC-50's, 200 FSD50K's, 20 OpenMIC's; 0 for an
            embedding model.
        clip_seconds: length of the clips it was trained on.
        settings: `path=value` corrections of the description, for what the weights do not tell.
        size: bytes of the file, if known.
        sha256: of the file, if known.  Hardly any authors publish one; those here are what other users of the
            files report.
        fold: the fold of the corpus that it never saw, where it is one of several; its score is of that fold.
        license: of the weights.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    family: str
    url: str = Field(pattern="^https?://")
    score: float | None = Field(default=None, ge=0, le=1)
    metric: Literal["mAP", "accuracy"] = "mAP"
    classes: int = Field(default=527, ge=0)
    clip_seconds: float = Field(default=10.0, gt=0)
    settings: tuple[str, ...] = ()
    size: int | None = Field(default=None, gt=0)
    sha256: str | None = Field(default=None, pattern="^[0-9a-f]{64}$")
    fold: int | None = Field(default=None, gt=0)
    license: str = "Apache-2.0"
