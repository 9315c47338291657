"""AST on Speech Commands.

Source:
    Gong, Chung and Glass, arXiv:2104.01778, and the recipe published with its code; see `audioset_ast`.
"""

from earmark import encoders
from earmark.data import SpeechCommands
from earmark.frontends import KaldiFbank
from earmark.models import TaggerConfig
from earmark.recipes.audioset_ast import FULL, file_mixup
from earmark.recipes.esc50 import AST_ESC50
from earmark.recipes.named import Named
from earmark.training import Adam

CORPUS = SpeechCommands()

AST = AST_ESC50.replace(
    model=TaggerConfig(
        frontend=KaldiFbank(length=128, mean=-6.845978, std=5.5654526),
        encoder=encoders.AST(max_frames=128),
        labels=CORPUS.labels,
        clip_seconds=1.0,
        padding="zeros",
    ),
    init=FULL.init,
    corpus=CORPUS,
    epochs=30,
    batch_size=128,
    augment=FULL.augment.replace(
        wave_mixup=file_mixup(0.6), freq_mask=48, time_mask=48, noise=0.1, roll_frames=10
    ),
    optimizer=Adam(lr=2.5e-4),
    binary=True,
)
"""AST from ImageNet's weights: accuracy .9812.  The loss is binary cross-entropy, as theirs."""

RECIPES = {"speechcommands-ast": Named(AST, "accuracy .9812")}
