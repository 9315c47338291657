"""PaSST's checkpoints: trained on AudioSet, and fine-tuned to OpenMIC, FSD50K and ESC-50."""

from typing import Any

from earmark.models.catalog.entry import Published

PASST_RELEASES = "https://github.com/kkoutini/PaSST/releases/download/"
ESC50_BYTES = 341_731_206


def _passt(name: str, path: str, score: float, **more: Any) -> Published:
    return Published(name=f"passt-{name}", family="PaSST", url=PASST_RELEASES + path, score=score, **more)


def _esc50(fold: int, score: float, sha256: str) -> Published:
    path = f"v.0.0.6/esc50-passt-s-n-f128-p16-s10-fold{fold}-acc.{score * 1000:.0f}.pt"
    facts = {"metric": "accuracy", "classes": 50, "fold": fold, "size": ESC50_BYTES, "sha256": sha256}
    return _passt(f"s.esc50-fold{fold}", path, score, **facts)


_V2 = "v0.0.2-audioset/passt-s-f128-p16-"
_V3 = "v0.0.3-audioset/passt-s-f128-stfthop"
_V4 = "v0.0.4-openmic/openmic2008.passt-u-f128-p16-s10-ap.85"
_V5 = "v0.0.5/"
_HOP160 = ("frontend.hop_length=160", "clip_seconds=10")
_OPENMIC = "dc229428753176e8be0373d25887116fc15b490af86f671cecf9ed76a0f287da"

PASST: tuple[Published, ...] = (
    _passt("s.as2m-swa", "v0.0.1-audioset/passt-s-f128-p16-s10-ap.476-swa.pt", 0.476),
    _passt("s.as2m-swa-4761", f"{_V2}s10-ap.4761-swa.pt", 0.4761),
    _passt("s.as2m", f"{_V2}s10-ap.472.pt", 0.472),
    _passt("s.as2m-kd", "v.0.0.9/passt-s-kd-ap.486.pt", 0.486),
    _passt("l.as2m-kd", "v.0.0.10/passt-l-kd-ap.47.pt", 0.4708),
    _passt("s-s12.as2m-swa", f"{_V2}s12-ap.473-swa.pt", 0.473),
    _passt("s-s12.as2m", f"{_V2}s12-ap.470.pt", 0.470),
    _passt("s-s14.as2m-swa", f"{_V2}s14-ap.471-swa.pt", 0.471),
    _passt("s-s14.as2m", f"{_V2}s14-ap.469.pt", 0.469),
    _passt("s-s16.as2m-swa", f"{_V2}s16-ap.473-swa.pt", 0.473),
    _passt("s-s16.as2m", f"{_V2}s16-ap.468.pt", 0.468),
    _passt("s-hop100.as2m-swa", f"{_V3}100-p16-s10-ap.473-swa.pt", 0.473),
    _passt("s-hop160.as2m-swa", f"{_V3}160-p16-s10-ap.473-swa.pt", 0.473, settings=_HOP160),
    _passt("s-20s.as2m-swa", f"{_V5}passt-s-f128-20sec-p16-s10-ap.474-swa.pt", 0.474, clip_seconds=20.0),
    _passt("s-30s.as2m-swa", f"{_V5}passt-s-f128-30sec-p16-s10-ap.473-swa.pt", 0.473, clip_seconds=30.0),
    _passt("b.as2m", "v.0.0.7-audioset/passt-b-f128-p16-s16-ap.459.pt", 0.459),
    _passt("u600.as2m", "v.0.0.7-audioset/passt-u600-f128-p16-s16-ap.460.pt", 0.460),
    _passt("u.openmic-swa", f"{_V4}-swa.pt", 0.85, classes=20),
    _passt("u.openmic", f"{_V4}.pt", 0.85, classes=20),
    _passt(
        "s.openmic", f"{_V5}openmic-passt-s-f128-10sec-p16-s10-ap.85.pt", 0.85, classes=20, sha256=_OPENMIC
    ),
    _passt("s.fsd50k", f"{_V5}fsd50k-passt-s-f128-p16-s10-ap.655.pt", 0.655, classes=200),
    _passt("s-n.fsd50k", f"{_V5}fsd50k-passt-s-n-f128-p16-s16-ap.642.pt", 0.642, classes=200),
    _esc50(1, 0.967, "392e65d4460943ea4a1ff22674e0d655afc9010e67bbf397f820126230eba81c"),
    _esc50(2, 0.977, "a924e1d55062669829e60577c11aa51775a5fe9db238e20cce7cec02d5937ffd"),
    _esc50(3, 0.959, "8718714100b9e0e78510e542483a135d094cb9a68998684737b6ff73ae610f9d"),
    _esc50(4, 0.987, "69292b1a7b8156ce4393d512f399eb92fc5a403d165b211866f54ab9f811d16b"),
    _esc50(5, 0.962, "ebfc2c339808d108e4976f61e88e988ed9e0438be09c258e685a49212e53f9a4"),
)
"""The checkpoints that the authors of PaSST released."""
