"""A recipe small enough for tests, on the tones of conftest."""

from earmark.data import ESC50
from earmark.encoders import ResidualCNN
from earmark.frontends import LogMel
from earmark.models import TaggerConfig
from earmark.training import EMA, AdamW, Augment, Mixup, Recipe

RATE = 8000
CORPUS = ESC50(esc10=True)
TINY = Recipe(
    model=TaggerConfig(
        frontend=LogMel(
            sample_rate=RATE, n_fft=256, win_length=256, hop_length=160, n_mels=32, fmax=4000.0, fmax_jitter=1
        ),
        encoder=ResidualCNN(n_bands=32, widths=(8, 16), stem=8),
        labels=CORPUS.labels,
        clip_seconds=0.5,
        padding="loop",
    ),
    corpus=CORPUS,
    epochs=8,
    batch_size=8,
    augment=Augment(crop=True, gain_db=3, mixup=Mixup(share=0.3), freq_mask=3, time_mask=4),
    optimizer=AdamW(lr=1e-2),
    averaging=EMA(decay=0.9),
)
