"""The runs of AudioTagging Done Right on AudioSet.

Source:
    Li et al., AudioTagging Done Right, arXiv:2203.13448, and the scripts of its code, whose settings these
    are; figures are those of the code's notebooks.

Each script's mean and deviation are measured under its own masks and mixup.  Deviations: see `audioset_ast`;
the average of the weights is that of epochs 1 to 5, as theirs, and is what is kept, while they pick the best
epoch by the evaluation part.
"""

from earmark.data import AudioSet
from earmark.encoders import (
    AST,
    CRNN,
    CNNTransformer,
    EfficientNet,
    EncoderConfig,
    FNet,
    LinearFrames,
    ResNet,
    Transformer,
)
from earmark.frontends import FrontendConfig, KaldiFbank, SlaneyDb
from earmark.models import HeadConfig, LinearHead, TaggerConfig
from earmark.models.heads import AttentionHead, PoolingHead
from earmark.recipes.audioset_ast import file_mixup
from earmark.recipes.named import Named
from earmark.training import Adam, Augment, Balanced, EpochMean, Recipe, Steps
from earmark.training.beginning.image_weights import DEIT

CORPUS = AudioSet()


def _model(encoder: EncoderConfig, head: HeadConfig, mean: float, std: float) -> TaggerConfig:
    """64 bands x 400 frames in doubled decibels, or 128 bands x 1024 frames, by what the encoder takes."""
    frontend: FrontendConfig = (
        SlaneyDb(decibels="doubled", length=400, mean=mean, std=std)
        if encoder.n_bands == 64
        else KaldiFbank(length=1024, mean=mean, std=std)
    )
    return TaggerConfig(
        frontend=frontend, encoder=encoder, head=head, labels=CORPUS.labels, clip_seconds=10.0
    )


def _augment(freq_mask: int, time_mask: int, mixup: float) -> Augment:
    return Augment(wave_mixup=file_mixup(mixup), freq_mask=freq_mask, time_mask=time_mask, mask_with="zero")


ATTENTION = PoolingHead(pooling="attention")
SOFTMAX = AttentionHead(attention="softmax_over_classes", value="softmax_over_classes")

TALTRANS = Recipe(
    model=_model(
        CNNTransformer(positions="spectrogram", attention_dropout=0.75),
        ATTENTION,
        mean=-29.686901,
        std=40.898224,
    ),
    corpus=CORPUS,
    epochs=10,
    batch_size=448,
    sampling=Balanced(),
    augment=_augment(12, 60, 0.3),
    optimizer=Adam(lr=4e-4),
    schedule=Steps(milestones=tuple(range(2, 11)), gamma=0.5),
    averaging=EpochMean(first=1, last=5),
)
"""CNN and transformer, 64 x 400: mAP .4115, AUC .9706, d' 2.672 (run-TALtrans.sh)."""

TRANSFORMER = TALTRANS.replace(
    model=_model(Transformer(), ATTENTION, mean=-29.686901, std=40.898224),
)
"""The transformer without convolutions.  It is in the code, but no script or option selects it: TALtrans's
settings."""

TAL = TALTRANS.replace(
    model=_model(CRNN(n_bands=128, dim=2048), ATTENTION, mean=-3.6788461, std=4.3739743),
    batch_size=100,
    augment=_augment(36, 192, 0.3),
)
"""TALNet, a CRNN, 128 x 1024: mAP .429; with 64 x 400 .4059 (run-TAL.sh)."""

AST64 = TALTRANS.replace(
    model=_model(
        AST(n_bands=64, max_frames=400, stride=(4, 4)), LinearHead(), mean=-29.686901, std=40.898224
    ),
    init=DEIT,
    batch_size=24,
    optimizer=Adam(lr=1e-5),
    precision="fp16",
)
"""AST on 64 x 400 with patches at stride 4 (run.sh).  The published .4109 is that of stride 8."""

RESNET = TALTRANS.replace(
    model=_model(
        ResNet(n_bands=64, reading="flattened"),
        SOFTMAX.replace(heads=1),
        mean=-29.072655,
        std=40.71728,
    ),
    batch_size=512,
    augment=_augment(12, 75, 0.3),
    optimizer=Adam(lr=4.8e-4),
)
"""ResNet-50 from random weights, 64 x 400: mAP .3697 (run-psla-res.sh).

Its reading of the last map, which mixes channels and places, and its softmax over classes are kept; for a
sound net take `--set model.encoder.reading=map`.
"""

PSLA = TALTRANS.replace(
    model=_model(EfficientNet(b=2), SOFTMAX, mean=-3.3458831, std=4.1563106),
    batch_size=64,
    augment=_augment(48, 192, 0.5),
    optimizer=Adam(lr=6e-5),
)
"""PSLA's EfficientNet-b2 from random weights, 128 x 1024 (run-psla.sh); no figure is published."""

FNET = PSLA.replace(
    model=_model(FNet(), PoolingHead(probability="clamped"), mean=-3.3458831, std=4.1563106),
    epochs=5,
    batch_size=6,
    optimizer=Adam(lr=1e-5),
    schedule=Steps(milestones=(2, 3, 4), gamma=0.5),
)
"""FNet, 128 x 1024 (run-FNET.sh); no figure is published.

The script says FNet but runs AST, and with the statistics of other features; here are FNet and the right
ones.
"""

LINEAR = TALTRANS.replace(
    model=_model(LinearFrames(), ATTENTION, mean=-27.248297, std=37.681698),
    batch_size=72,
    augment=_augment(12, 75, 0.3),
    optimizer=Adam(lr=2e-5),
)
"""Linear layers alone, 64 x 400 (run-linear.sh, with the statistics that it passes); no figure is
published."""

RECIPES = {
    "audioset-taltrans": Named(TALTRANS, "mAP .4115"),
    "audioset-tal": Named(TAL, "mAP .429"),
    "audioset-transformer": Named(TRANSFORMER),
    "audioset-ast64": Named(AST64, "mAP .411 (stride 8)"),
    "audioset-resnet": Named(RESNET, "mAP .3697"),
    "audioset-psla": Named(PSLA),
    "audioset-fnet": Named(FNET),
    "audioset-linear": Named(LINEAR),
}
