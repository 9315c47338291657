"""ESC-50: a net from scratch, and known models fine-tuned.  The held-out fold is `--set corpus.fold=2`.

Source:
    PaSST: Koutini et al., arXiv:2110.05069 (table 3); see `audioset_passt`.  AST: Gong, Chung and Glass,
    arXiv:2104.01778; see `audioset_ast`.
"""

from earmark.data import ESC50
from earmark.encoders import AST, MN, PaSST, Patchout, ResidualCNN
from earmark.frontends import KaldiFbank, LogMel
from earmark.models import TaggerConfig
from earmark.models.heads import MlpHead
from earmark.recipes.audioset_passt import S
from earmark.recipes.esc10 import AUGMENT as FROM_SCRATCH
from earmark.recipes.named import Named
from earmark.recipes.openmic import PASST as ON_OPENMIC
from earmark.training import EMA, Adam, AdamW, Augment, Mixup, Recipe, Shuffled, Steps

CORPUS = ESC50()

PASST = ON_OPENMIC.replace(
    model=S.model.replace(
        encoder=PaSST(patchout=Patchout(time=10, frequency=3)), labels=CORPUS.labels, clip_seconds=5.0
    ),
    corpus=CORPUS,
    batch_size=12,
    augment=S.augment.replace(wave_mixup=None, time_mask=80),
)
"""PaSST-S: accuracy .968 over five folds; the released weights .9704.

Deviation: clips are shuffled; there they came in the order of the table, by mistake.
"""

AST_ESC50 = Recipe(
    model=TaggerConfig(
        frontend=KaldiFbank(length=512, mean=-6.6268077, std=5.358466),
        encoder=AST(max_frames=512),
        labels=CORPUS.labels,
        clip_seconds=5.0,
    ),
    init="ast.as2m",
    corpus=CORPUS,
    epochs=25,
    batch_size=48,
    sampling=Shuffled(),
    augment=Augment(freq_mask=24, time_mask=96, mask_with="zero"),
    optimizer=Adam(lr=1e-5),
    schedule=Steps(warmup=0, milestones=tuple(range(5, 26)), gamma=0.85),
    precision="fp16",
)
"""AST from AudioSet's weights: accuracy .9575 over five folds, at the epoch that is best over the folds.

From ImageNet's weights alone, with `--set init=deit-b-distilled-384.imagenet optimizer.lr=1e-4`: .887.
"""

MN04 = Recipe(
    model=TaggerConfig(
        frontend=LogMel(),
        encoder=MN(width=0.4),
        head=MlpHead(hidden=512),
        labels=CORPUS.labels,
        clip_seconds=5.0,
    ),
    init="mn04.as2m",
    corpus=CORPUS,
    epochs=5,
    batch_size=16,
    augment=Augment(gain_db=6.0, roll=1600, mixup=Mixup(alpha=0.3, domain="log"), freq_mask=16, time_mask=50),
    optimizer=AdamW(lr=5e-4, weight_decay=1e-2, head_factor=4.0),
    averaging=EMA(decay=0.96),
    label_smoothing=0.1,
)
"""EfficientAT's smallest good net, in about seven minutes of one core: what `--from mn04.as2m` chooses, but
for fewer epochs.  Ours; its authors' settings are for 80 epochs of 128 clips on a GPU."""

CNN = Recipe(
    model=TaggerConfig(
        frontend=LogMel(
            sample_rate=16000,
            n_fft=512,
            win_length=512,
            n_mels=64,
            fmin=40.0,
            fmax=7800.0,
            fmin_jitter=1,
            fmax_jitter=1,
        ),
        encoder=ResidualCNN(widths=(32, 64, 128, 256), first_stride=2, dropout=0.2),
        labels=CORPUS.labels,
        clip_seconds=5.0,
        padding="loop",
    ),
    corpus=CORPUS,
    epochs=80,
    crop_seconds=2.0,
    augment=FROM_SCRATCH.replace(time_mask=14),
    optimizer=AdamW(lr=3e-3, weight_decay=1e-2),
    averaging=EMA(decay=0.995),
    label_smoothing=0.1,
)
"""From scratch, 1.3 M parameters.  Ours; crops of 2 s buy two and a half times the epochs of whole clips."""

RECIPES = {
    "esc50-cnn": Named(CNN),
    "esc50-mn04": Named(MN04),
    "esc50-passt": Named(PASST, "accuracy .968"),
    "esc50-ast": Named(AST_ESC50, "accuracy .9575"),
}
