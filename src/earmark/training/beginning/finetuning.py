"""Settings for fine-tuning a known model on somebody's own clips, chosen from the size of both."""

from collections.abc import Sequence
from typing import NamedTuple

from earmark.data import Clip, CorpusConfig, Split
from earmark.data.preparation.preparing import probe
from earmark.encoders import PaSST, Patchout
from earmark.models import Tagger, TaggerConfig
from earmark.training.augmentation.description import Augment, Mixup, WaveMixup
from earmark.training.beginning.fitting import fitted_model
from earmark.training.optimizing.averaging import EMA
from earmark.training.optimizing.optimizer import AdamW
from earmark.training.optimizing.schedule import Cosine
from earmark.training.supervised.recipe import Recipe

FEW = 100
"""Below so many clips a run is short however often it hears each, and little may be changed about them."""

PROBED = 200
"""So many files at most are asked how long they are."""

TRANSFORMERS = ("AST", "DBERT", "PaSST")
LARGE = 20_000_000
"""Parameters from which a model is large: batches are smaller then, and clips are heard less often."""


class Choice(NamedTuple):
    """A recipe that was chosen.

    Attributes:
        recipe: the run.
        reasons: why, a line for each choice.
    """

    recipe: Recipe
    reasons: list[str]


class Size(NamedTuple):
    """What choices depend on.

    Attributes:
        clips: to learn from.
        parameters: of the model.
        transformer: whether it is one of the large transformers, which ask for low rates.
    """

    clips: int
    parameters: int
    transformer: bool

    @property
    def few(self) -> bool:
        """Whether there are very few clips."""
        return self.clips < FEW

    @property
    def large(self) -> bool:
        """Whether the model is large."""
        return self.parameters > LARGE


def fine_tuning(
    init: str,
    source: TaggerConfig,
    corpus: CorpusConfig,
    split: Split,
    seconds: Sequence[float] | None = None,
) -> Choice:
    """Choose how to fine-tune a model.

    Args:
        init: the model's name or file.
        source: its description.
        corpus: what it shall learn.
        split: the same, read.
        seconds: how long the clips are; None looks at some of the files.

    Raises:
        ConfigError: nothing fits; the sentence says why.
    """
    if seconds is None:
        seconds = lengths(split.train)
    model, reasons = fitted_model(source, corpus.labels, seconds)
    size = Size(
        len(split.train), Tagger(model, hollow=True).count_parameters(), source.encoder.kind in TRANSFORMERS
    )
    model, patchout = _with_patchout(model, size)
    batch, epochs, why_epochs = _amount(size)
    steps = epochs * -(-size.clips // batch)
    optimizer, why_rate = _optimizer(size)
    augment, why_augment = _augment(model, size, longest=max(seconds, default=0.0))
    recipe = Recipe(
        model=model,
        init=init,
        corpus=corpus,
        epochs=epochs,
        batch_size=batch,
        augment=augment,
        optimizer=optimizer,
        schedule=Cosine(warmup=0.1),
        averaging=EMA(decay=min(0.999, max(0.8, 1 - 20 / steps))),
        label_smoothing=0.1 if model.labels.exclusive else 0.0,
    )
    reasons += [*patchout, why_epochs, why_rate, *why_augment]
    reasons.append(f"average: over about the last {min(1000, max(5, steps // 20))} of {steps} steps")
    return Choice(recipe, reasons)


def lengths(clips: Sequence[Clip], most: int = PROBED) -> list[float]:
    """How long some of the clips are, in seconds, evenly taken from all; those that do not tell are left
    out."""
    found: list[float] = []
    for clip in clips[:: -(-len(clips) // most) or 1]:
        seconds = probe(clip).seconds if clip.end is None else clip.end - clip.start
        if seconds is not None:  # one that cannot be read is counted and named when it is
            found.append(seconds)
    return found


def _amount(size: Size) -> tuple[int, int, str]:
    """Clips in a batch, and epochs."""
    batch = 8 if size.clips < 2 * FEW else 16 if size.large or size.clips < 2000 else 32
    heard = 10_000 if size.large else 20_000
    epochs = max(5, min(60, round(heard / max(1, size.clips))))
    return (
        batch,
        epochs,
        (
            f"epochs {epochs}, batch {batch}: {size.clips} clips to learn from, about {heard:,} to be heard "
            f"in all by a {'large' if size.large else 'small'} model, each 5 to 60 times"
        ),
    )


def _optimizer(size: Size) -> tuple[AdamW, str]:
    if size.transformer:
        rates = AdamW(lr=5e-5, weight_decay=1e-2, layer_decay=0.75, head_factor=10.0)
        return rates, (
            "rate 5e-5 at the last block, a quarter less at each below, ten times at the new head: a "
            "transformer forgets at higher ones"
        )
    rates = AdamW(lr=5e-4, weight_decay=1e-2, head_factor=4.0)
    return rates, "rate 5e-4, four times at the new head: no large transformer, so it bears more"


def _with_patchout(model: TaggerConfig, size: Size) -> tuple[TaggerConfig, list[str]]:
    """PaSST is trained with a fifth of the time and a quarter of the bands left out, as published for
    ESC-50."""
    encoder = model.encoder
    if not isinstance(encoder, PaSST):
        return model, []
    frames = model.frontend.n_frames(round(model.clip_seconds * model.frontend.sample_rate))
    rows, columns = encoder.grid(frames)
    patchout = Patchout(time=columns // 5, frequency=rows // 4)
    why = f"patchout {patchout.time} of {columns} columns, {patchout.frequency} of {rows} rows: as published"
    return model.replace(encoder=encoder.replace(patchout=patchout)), [why]


def _augment(model: TaggerConfig, size: Size, longest: float) -> tuple[Augment, list[str]]:
    """What is changed about the clips, by what the front end allows and how many there are."""
    frontend, share = model.frontend, 0.5 if size.few else 1.0
    frames = frontend.n_frames(round(model.clip_seconds * frontend.sample_rate))
    wave_only = frontend.kind == "RawWaveform"
    mixup = Mixup(alpha=0.3, share=share, domain="log")
    augment = Augment(
        gain_db=6.0,
        random_offset=longest > model.clip_seconds,
        roll=frontend.sample_rate // 20,
        wave_mixup=WaveMixup(alpha=0.3, share=share) if wave_only else None,
        mixup=None if wave_only else mixup,
        freq_mask=0 if wave_only else round(frontend.n_bands / 8 * share),
        time_mask=0 if wave_only else round(frames / 10 * share),
        mask_with="mean",
    )
    few = (
        f"half as much as usual for fewer than {FEW} clips"
        if size.few
        else "the usual for some thousand clips"
    )
    reasons = [f"masks of {augment.freq_mask} bands and {augment.time_mask} frames, mixup: {few}"]
    if augment.random_offset:
        reasons.append(
            f"random stretches of {model.clip_seconds:g} s are heard: some clips are longer, up to "
            f"{longest:.1f} s"
        )
    return augment, reasons
