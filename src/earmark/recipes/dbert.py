"""dBERT's self-supervised pretraining, on any folder of sounds.

The sizes are those of audio_dbert (large), of its reconstruction's reference (base), and one that a processor
can train (tiny).  The author publishes neither loss nor loop; see `ClusterGuessing`.
"""

from earmark.encoders import DBERT
from earmark.encoders.clusters import Clusters
from earmark.encoders.dbert import CONVS
from earmark.frontends import RawWaveform
from earmark.models import TaggerConfig
from earmark.training.optimizing.optimizer import AdamW
from earmark.training.pretraining.objective import LITERAL
from earmark.training.pretraining.recipe import PretrainRecipe

RATES = AdamW(lr=5e-4, betas=(0.9, 0.98), eps=1e-6, weight_decay=0.01)

BASE = PretrainRecipe(
    model=TaggerConfig(frontend=RawWaveform(), encoder=DBERT(clusters=Clusters()), head=None),
    epochs=100,
    epoch_clips=64_000,
    batch_size=64,
    crop_seconds=8.0,
    optimizer=RATES,
    precision="bf16",
)
"""12 layers of 768; 100,000 iterations, a fifth of which teach the student."""

LARGE = BASE.replace(
    model=TaggerConfig(
        frontend=RawWaveform(),
        encoder=DBERT(width=1024, depth=24, heads=16, clusters=Clusters()),
        head=None,
    ),
    epochs=920,
    optimizer=RATES.replace(lr=3e-4),
)
"""24 layers of 1024, and as many iterations as audio_dbert's checkpoint has: 920,000."""

TINY = PretrainRecipe(
    model=TaggerConfig(
        frontend=RawWaveform(),
        encoder=DBERT(
            convs=tuple(
                (96 if place < 3 else 128, kernel, stride) for place, (_, kernel, stride) in enumerate(CONVS)
            ),
            width=192,
            depth=4,
            heads=4,
            position_kernel=64,
            clusters=Clusters(summary=(32,), conv=(64,), output=(64,)),
        ),
        head=None,
        clip_seconds=5.0,
    ),
    epochs=24,
    epoch_clips=16_000,
    batch_size=32,
    crop_seconds=2.0,
    optimizer=RATES.replace(lr=1e-3),
)
"""4 layers of 192; 12,000 iterations on crops of 2 s.  As many summary clusters as clips in a batch."""

TINY_LITERAL = TINY.replace(objective=LITERAL)
"""The same by what audio_dbert's author says and no more: it ends when its features have collapsed."""

PRETRAINING = {
    "dbert-tiny": TINY,
    "dbert-tiny-literal": TINY_LITERAL,
    "dbert-base": BASE,
    "dbert-large": LARGE,
}
