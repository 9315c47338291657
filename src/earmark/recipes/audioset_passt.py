"""What all published runs of PaSST share, and its runs on AudioSet.

Source:
    Koutini et al., Efficient Training of Audio Transformers with Patchout, arXiv:2110.05069 (figures: table
    1), and the training code published with it.

Stated there: everything that stands here.  Deviations: `batch_size` is that of all processes together (theirs
is for each GPU, and most runs had one or two); masks are drawn for the whole batch, as in all environments
that the authors recorded, and are laid before mixup there; mixup partners are neighbors in the batch;
sampling is without replacement by the same weights, but not by the same draws.
"""

from earmark.data import AudioSet
from earmark.encoders import PaSST, Patchout
from earmark.frontends import LogMel
from earmark.models import TaggerConfig
from earmark.recipes.named import Named
from earmark.training import (
    SWA,
    AdamW,
    Augment,
    Balanced,
    ExpWarmupLinear,
    Mixup,
    Recipe,
    WaveMixup,
)
from earmark.training.beginning.image_weights import DEIT
from earmark.training.supervised.distillation import Distillation

PASST_S = "passt-s.as2m-swa"
PASST_N = "passt-s-s16.as2m-swa"

CORPUS = AudioSet()

AUGMENT = Augment(
    gain_db=7,
    whole_gain=True,
    roll=50,
    wave_mixup=WaveMixup(alpha=2.0, share=0.5),
    mixup=Mixup(alpha=0.3, domain="log"),
    freq_mask=48,
    time_mask=192,
    mask_with="zero",
    shared_masks=True,
)
"""Gain of -7 to 6 dB, a roll of 50 samples at most, two mixups on one another, two masks."""

S = Recipe(
    model=TaggerConfig(
        frontend=LogMel(),
        encoder=PaSST(patchout=Patchout(time=40, frequency=4)),
        labels=CORPUS.labels,
        clip_seconds=10.0,
        padding="zeros",
    ),
    init=DEIT,
    corpus=CORPUS,
    epochs=130,
    epoch_clips=100_000,
    batch_size=12,
    sampling=Balanced(offset=100, replacement=False),
    augment=AUGMENT,
    optimizer=AdamW(lr=2e-5, weight_decay=1e-4, decay_all=True),
    schedule=ExpWarmupLinear(warmup=5, fall_from=50, fall=50, last=0.01),
    averaging=SWA(start=50, every=5),
    precision="fp16",
)
"""PaSST-S, structured patchout: mAP .471, the average of its weights .476; 50 hours of an RTX 2080 Ti.

The code's settings; the paper states a highest rate of 1e-5 and 200,000 samples in an epoch.
"""


def _with_encoder(recipe: Recipe, encoder: PaSST) -> Recipe:
    return recipe.replace(model=recipe.model.replace(encoder=encoder))


def _encoder(**fields: object) -> PaSST:
    return PaSST(patchout=Patchout(time=40, frequency=4)).replace(**fields)


B = _with_encoder(S, PaSST())
"""PaSST-B, no patchout: mAP .462."""

U = _with_encoder(S, PaSST(patchout=Patchout(patches=400)))
"""PaSST-U, 400 single patches left out: mAP .466."""

L = _with_encoder(S, _encoder(depth=7))
"""PaSST-S-L, seven blocks: mAP .459; 25 hours.  Of DeiT's twelve, the first and the last six are begun
with."""

N = _with_encoder(S, _encoder(stride=(16, 16), patchout=Patchout(time=20, frequency=2)))
"""PaSST-S-N, patches that do not overlap: mAP .466; 25 hours.

Its patchout is read off the published 254 tokens: 6 x 42 patches and two; the code's settings are not
published.
"""

S_KD = S.replace(
    augment=AUGMENT.replace(wave_mixup=None),
    distillation=Distillation(share=0.9, temperature=1.0),
)
"""PaSST-S with a teacher (branch `kd_dev`): mAP .486.

The teacher is an ensemble's stored logits, `--with teacher=FILE.npy`; a live model does as well.  Waveforms
are not mixed.  Deviation: there the mixup of features was applied twice, by mistake.
"""

L_KD = _with_encoder(S_KD, _encoder(depth=7))
"""PaSST-S-L with a teacher: mAP .4708."""


def _longer(frames: int, clip_seconds: float, hop_length: int = 320) -> Recipe:
    """PaSST-S for more frames, with patchout of the same share of time."""
    encoder = _encoder(max_frames=frames, patchout=Patchout(time=round(frames / 25), frequency=4))
    model = S.model.replace(
        frontend=LogMel(hop_length=hop_length), encoder=encoder, clip_seconds=clip_seconds
    )
    return S.replace(model=model)


S_20S = _longer(2000, 20.0)
"""PaSST-S for 20 s: mAP .474.  Its patchout is not published; here the same share of time as for 10 s.

AudioSet's clips have 10 s; the rest is silence, as in the published loader.
"""

S_30S = _longer(3000, 30.0)
"""PaSST-S for 30 s: mAP .473; see `S_20S`."""

S_HOP160 = _longer(2000, 10.0, hop_length=160)
"""PaSST-S with frames of 5 ms: mAP .473; see `S_20S` for its patchout."""

S_HOP100 = _longer(3200, 10.0, hop_length=100)
"""PaSST-S with frames of 3.1 ms: mAP .473; see `S_20S` for its patchout."""

RECIPES = {
    "audioset-passt-s": Named(S, "mAP .471, .476 averaged"),
    "audioset-passt-b": Named(B, "mAP .462"),
    "audioset-passt-u": Named(U, "mAP .466"),
    "audioset-passt-l": Named(L, "mAP .459"),
    "audioset-passt-n": Named(N, "mAP .466"),
    "audioset-passt-s-kd": Named(S_KD, "mAP .486"),
    "audioset-passt-l-kd": Named(L_KD, "mAP .471"),
    "audioset-passt-s-20s": Named(S_20S, "mAP .474"),
    "audioset-passt-s-30s": Named(S_30S, "mAP .473"),
    "audioset-passt-s-hop160": Named(S_HOP160, "mAP .473"),
    "audioset-passt-s-hop100": Named(S_HOP100, "mAP .473"),
}
