"""PSLA: the checkpoints that its authors published."""

from typing import Any

from earmark.models.catalog.entry import Published


def _psla(name: str, path: str, score: float, **more: Any) -> Published:
    url = f"https://www.dropbox.com/s/{path}.pth?dl=1"
    return Published(
        name=f"psla-b2.{name}", family="PSLA", url=url, score=score, license="BSD-3-Clause", **more
    )


_FSD50K = {"classes": 200, "clip_seconds": 30.0}

PSLA: tuple[Published, ...] = (
    _psla("as2m", "d1z27wj30ew5qrs/as_mdl_0", 0.440),
    _psla("as2m-wa", "ieggie0ara4x26d/as_mdl_0_wa", 0.444),
    _psla("fsd50k", "stzrmfty2oyqnnj/fsd_mdl_best_single", 0.559, **_FSD50K),
    _psla("fsd50k-wa", "5fvybrbulvhsish/fsd_mdl_wa", 0.562, **_FSD50K),
)
"""Single models and averages of a run's last weights, all EfficientNet-b2 with four heads."""
