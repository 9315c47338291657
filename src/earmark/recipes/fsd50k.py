"""PaSST on FSD50K.

Source:
    Koutini et al., arXiv:2110.05069 (table 3) and the training code published with it; see `audioset_passt`.
"""

from earmark.data import FSD50K
from earmark.encoders import PaSST, Patchout
from earmark.recipes.audioset_passt import PASST_N, PASST_S, S
from earmark.recipes.named import Named
from earmark.training import SWA, AdamW, ExpWarmupLinear, Shuffled

CORPUS = FSD50K()

PASST = S.replace(
    model=S.model.replace(encoder=PaSST(patchout=Patchout(time=10, frequency=4)), labels=CORPUS.labels),
    init=PASST_S,
    corpus=CORPUS,
    epochs=50,
    epoch_clips=None,
    sampling=Shuffled(),
    augment=S.augment.replace(freq_mask=0, time_mask=0, random_offset=True),
    optimizer=AdamW(lr=1e-5, weight_decay=1e-4, decay_all=True),
    schedule=ExpWarmupLinear(warmup=5, fall_from=10, fall=10, last=0.01),
    averaging=SWA(start=10, every=3),
)
"""PaSST-S fine-tuned on random stretches of 10 s: mAP .653, the released weights .655.

Evaluation averages windows of 10 s; theirs takes whole clips one by one (`variable_eval`).
"""

PASST_NO_OVERLAP = PASST.replace(
    model=PASST.model.replace(
        encoder=PaSST(stride=(16, 16), patchout=Patchout(time=10, frequency=1)),
    ),
    init=PASST_N,
)
"""The same without overlap of patches: mAP .637, the released weights .642."""

RECIPES = {
    "fsd50k-passt": Named(PASST, "mAP .653"),
    "fsd50k-passt-n": Named(PASST_NO_OVERLAP, "mAP .637"),
}
