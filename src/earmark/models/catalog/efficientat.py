"""EfficientAT: the MobileNets that its authors published, trained on AudioSet."""

from typing import Any

from earmark.models.catalog.entry import Published

RELEASE = "https://github.com/fschmid56/EfficientAT/releases/download/v0.0.1/"
MN04_SHA256 = "899a8c6217063f6941793102a2780b3dd788ab11fce468d9cf5f0577c453321c"


def _net(name: str, file: str, score: float | None, *settings: str, **more: Any) -> Published:
    """One checkpoint; what its file's name says of the front end and the strides is in `settings`."""
    facts = {"url": f"{RELEASE}{file}.pt", "score": score, "settings": settings, "license": "MIT"}
    return Published(name=name, family="EfficientAT", **facts, **more)


def _hop(milliseconds: int, score: float) -> Published:
    file = f"mn10_as_hop_{milliseconds}_mAP_{score * 1000:.0f}"
    return _net(f"mn10-hop{milliseconds}.as2m", file, score, f"frontend.hop_length={32 * milliseconds}")


def _mels(bands: int, score: float) -> Published:
    file = f"mn10_as_mels_{bands}_mAP_{score * 1000:.0f}"
    settings = (f"frontend.n_mels={bands}", f"encoder.n_bands={bands}")
    return _net(f"mn10-mels{bands}.as2m", file, score, *settings)


EFFICIENTAT: tuple[Published, ...] = (
    _net("mn01.as2m", "mn01_as_mAP_298", 0.298),
    _net("mn02.as2m", "mn02_as_mAP_378", 0.378),
    _net("mn04.as2m", "mn04_as_mAP_432", 0.432, size=4_066_513, sha256=MN04_SHA256),
    _net("mn05.as2m", "mn05_as_mAP_443", 0.443),
    _net("mn10.as2m", "mn10_as_mAP_471", 0.471),
    _net("mn20.as2m", "mn20_as_mAP_478", 0.478),
    _net("mn30.as2m", "mn30_as_mAP_482", 0.482),
    _net("mn40.as2m", "mn40_as_mAP_484", 0.484),
    _net("mn40.as2m-2", "mn40_as_mAP_483", 0.483),
    _net("mn40.as2m-3", "mn40_as_mAP_483(2)", 0.483),
    _net("mn40.as2m-noim", "mn40_as_no_im_pre_mAP_483", 0.483),
    _net("mn40.as2m-noim-2", "mn40_as_no_im_pre_mAP_483(2)", 0.483),
    _net("mn40.as2m-noim-3", "mn40_as_no_im_pre_mAP_482", 0.482),
    _net("mn40.as2m-ext", "mn40_as_ext_mAP_487", 0.487),
    _net("mn40.as2m-ext-2", "mn40_as_ext_mAP_486", 0.486),
    _net("mn40.as2m-ext-3", "mn40_as_ext_mAP_485", 0.485),
    _hop(5, 0.475),
    _hop(15, 0.463),
    _hop(20, 0.456),
    _hop(25, 0.447),
    _mels(40, 0.453),
    _mels(64, 0.461),
    _mels(256, 0.474),
    _net("mn10-fc.as2m", "mn10_as_fc_mAP_465", 0.465),
    _net("mn10-fc-s2221.as2m", "mn10_as_fc_s2221_mAP_466", 0.466, "encoder.strides=[2, 2, 2, 1]"),
    _net("mn10-fc-s2211.as2m", "mn10_as_fc_s2211_mAP_466", 0.466, "encoder.strides=[2, 2, 1, 1]"),
    _net("dymn04.as2m", "dymn04_as", 0.450),
    _net("dymn10.as2m", "dymn10_as", 0.477),
    _net("dymn20.as2m", "dymn20_as_mAP_493", 0.493),
    _net("dymn20.as2m-2", "dymn20_as", 0.491),
    _net("dymn20.as2m-3", "dymn20_as_mAP_489", 0.489),
    _net("dymn20.as2m-4", "dymn20_as_mAP_490", 0.490),
    _net("dymn04-replace-se.as2m", "dymn04_replace_se_as", None),
    _net("dymn10-replace-se.as2m", "dymn10_replace_se_as", None),
)
"""The checkpoints of this family; the starting points trained on ImageNet hear nothing and are left out."""
