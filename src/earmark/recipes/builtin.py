"""The model that ships inside the package."""

from earmark.data import BuiltinMix
from earmark.encoders import ResidualCNN
from earmark.frontends import LogMel
from earmark.models import TaggerConfig
from earmark.recipes.esc10 import AUGMENT
from earmark.training import EMA, AdamW, Recipe

CORPUS = BuiltinMix()

BUILTIN = Recipe(
    model=TaggerConfig(
        frontend=LogMel(
            sample_rate=16000,
            n_fft=512,
            win_length=512,
            hop_length=320,
            n_mels=64,
            fmin=40.0,
            fmax=7900.0,
            fmin_jitter=1,
            fmax_jitter=1,
        ),
        encoder=ResidualCNN(widths=(24, 48, 96, 192), stem=24, dropout=0.2),
        labels=CORPUS.labels,
        clip_seconds=5.0,
        padding="loop",
    ),
    corpus=CORPUS,
    epochs=40,
    batch_size=32,
    augment=AUGMENT.replace(low_pass=0.25),
    optimizer=AdamW(lr=2e-3, weight_decay=1e-2),
    averaging=EMA(decay=0.995),
    weights="fp16",
    license="CC-BY-SA-4.0",
)
"""16 kHz, because that is what all of its clips have: nothing above 8 kHz may tell a class by its archive."""
