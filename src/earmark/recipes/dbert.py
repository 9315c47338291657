"""dBERT's self-supervised pretraining, on any folder of sounds.

The sizes are those of audio_dbert (large), of its reconstruction's reference (base), and one that a processor
can train (tiny).  The author publishes neither loss nor loop; see `ClusterGuessing`.
"""

from earmark.encoders import DBERT
from earmark.encoders.clusters import Clusters
from earmark.frontends import RawWaveform
from earmark.models import TaggerConfig
from earmark.training.optimizing.optimizer import AdamW
from earmark.training.pretraining.generation import Generation
from earmark.training.pretraining.health import Collapse
from earmark.training.pretraining.masking import SpanMask
from earmark.training.pretraining.objective import LITERAL, ClusterGuessing
from earmark.training.pretraining.reassignment import Reassign
from earmark.training.pretraining.recipe import PretrainRecipe
from earmark.training.pretraining.seeding import Seeding
from earmark.training.pretraining.standardize import Standardize
from earmark.training.pretraining.teacher import SlowCopy

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
            convs=((128, 128, 40), (128, 8, 4), (128, 6, 3)),
            first_norm="clip",
            filters="bands",
            width=192,
            depth=4,
            heads=4,
            ff_multiple=2,
            position_kernel=32,
            clusters=Clusters(summary=(16,), conv=(64,), output=(64,)),
        ),
        head=None,
        clip_seconds=5.0,
    ),
    objective=ClusterGuessing(
        mask=SpanMask(probability=0.13),
        every=1,
        summary_weight=0.3,
        output_weight=0.3,
        shown_weight=0.3,
        conv_gradient=1.0,
        generation=Generation(lr=0.02, reassign=Reassign(every=20, memory=0.5, below=2.0)),
        seeding=Seeding(batches=40, frames=10_000, rounds=20),
        standardize=Standardize(each=True),
        teacher=SlowCopy(decay=0.999, last_decay=0.9998, steps=3000),
    ),
    epochs=20,
    epoch_clips=2_560,
    crops="seconds",
    batch_size=16,
    crop_seconds=1.5,
    optimizer=RATES.replace(lr=1e-3),
)
"""4 layers of 192, a frame of 43 ms every 30 ms; 3,200 iterations, some twenty processor minutes.

What differs from the larger ones is there to make much of little.  The first convolution begins with bands,
and one norm evens out all of them: clusters of wholly random features hardly tell one sound from another, and
what guesses them learns hardly anything.  Vectors are leveled before they are clustered, and k-means goes on
after k-means++, so that clusters are in use.  Every iteration teaches: mostly to guess clusters of the
convolutions, and also those of frames that are shown.  As many summary clusters as clips in a batch.
"""

TINY_LITERAL = TINY.replace(objective=LITERAL.replace(collapse=Collapse(iterations=300)))
"""The same by what audio_dbert's author says and no more: it ends when its features have collapsed."""

PRETRAINING = {
    "dbert-tiny": TINY,
    "dbert-tiny-literal": TINY_LITERAL,
    "dbert-base": BASE,
    "dbert-large": LARGE,
}
