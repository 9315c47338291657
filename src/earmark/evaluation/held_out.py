"""Which clips a model may be counted on: those that it never learned from."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

from earmark.config import ConfigError
from earmark.data import CORPORA, Clip, CorpusConfig, Folder, Split, Table
from earmark.data.finding import find_corpus
from earmark.labels import LabelSet
from earmark.models import CheckpointError, TaggerConfig, read_header
from earmark.models.recognized import recognize
from earmark.models.zoo import members_of, resolve

Part = Literal["test", "validation", "train"]

SAME_FOLDS = {"BuiltinMix": "ESC50"}
"""Corpora whose folds are those of another."""


class HeldOut(NamedTuple):
    """A part of a corpus to count on.

    Attributes:
        corpus: its name.
        part: which part.
        splits: the corpus by held-out fold; one without a number where there are no folds.
    """

    corpus: str
    part: Part
    splits: dict[int | None, Split]

    @property
    def labels(self) -> LabelSet:
        """The corpus's labels."""
        return next(iter(self.splits.values())).labels

    @property
    def about(self) -> dict[str, Any]:
        """What reports say of it."""
        folds = [fold for fold in self.splits if fold is not None]
        return {"corpus": self.corpus, "split": self.part} | ({"folds": folds} if folds else {})

    def clips(self, part: Part | None = None) -> list[Clip]:
        """The clips of a part, each once."""
        found = [clip for split in self.splits.values() for clip in getattr(split, part or self.part)]
        return list({(clip.path, clip.start, clip.end, clip.row): clip for clip in found}.values())


def hold_out(
    models: Sequence[str], data: Path, corpus: str | None, fold: int | None, part: Part = "test"
) -> HeldOut:
    """Read a corpus, and choose the folds that models may be counted on.

    Args:
        models: names, files or run folders; several with commas between are looked at one by one.
        data: folder or table of the corpus.
        corpus: its name; None where the data tell it.
        fold: the held-out fold; None for the one that the models held out, or all folds where no model
            learned from the corpus.
        part: which clips of it.

    Raises:
        ConfigError: no such corpus or part, or a model may have learned from what it is counted on.
    """
    found_there, root = find_corpus(data, corpus)
    chosen = resolved(found_there, root)
    name = corpus or chosen.kind
    if chosen.n_folds < 2 or getattr(chosen, "fold", 1) is None:  # None: a table whose own splits decide
        if fold is not None and chosen.n_folds < 2:
            raise ConfigError(
                f"{name} has no folds; leave the fold away, and choose a part of it by its split"
            )
        splits: dict[int | None, Split] = {
            fold: chosen.read(root) if fold is None else chosen.replace(fold=fold).read(root)
        }
    else:
        if fold is not None and fold not in all_folds(chosen):
            raise ConfigError(
                f"{name} has no fold {fold}; there are {', '.join(map(str, all_folds(chosen)))}"
            )
        own = common_fold(models, chosen, fold)
        if own is None and part != "test":
            raise ConfigError(
                f"which fold's {part} clips? {name} has {chosen.n_folds} folds; give the one that is held out"
            )
        numbers = all_folds(chosen) if own is None else [own]
        splits = {number: chosen.replace(fold=number).read(root) for number in numbers}
    found = HeldOut(name, part, splits)
    if part != "test" and not found.clips():
        raise ConfigError(f"{name} has no {part} clips here; choose another split")
    return found


def resolved(corpus: CorpusConfig, root: Path) -> CorpusConfig:
    """A corpus with what only its data can tell, such as the labels of a user's own table."""
    return corpus.resolved(root) if isinstance(corpus, Folder | Table) else corpus


def all_folds(corpus: CorpusConfig) -> list[int]:
    """The numbers of a corpus's folds.

    Example:
        >>> all_folds(CORPORA["esc50"])
        [1, 2, 3, 4, 5]
    """
    return list(getattr(corpus, "folds", None) or range(1, corpus.n_folds + 1))


def common_fold(models: Sequence[str], corpus: CorpusConfig, asked: int | None) -> int | None:
    """The one fold to count on, or None where neither the models nor the caller name one.

    A model of ours must be counted on the fold that its own recipe held out, and a published one on the fold
    that its authors held out: on any other it would be asked what it has learned by heart.

    Args:
        models: names, files or run folders; several with commas between are looked at one by one.
        corpus: has folds.
        asked: the fold that the caller wants.

    Raises:
        ConfigError: a model has learned from the fold that is asked for, or that another model held out; or
            it has a corpus's own labels, and nobody says from which folds it learned.
    """
    single = [str(one) for model in models for one in (members_of(model) or [model])]
    fold, first = asked, ""
    for model in single:
        own, labels = _own_fold(model, corpus)
        if own is None and asked is None and _has_labels_of_folds(labels, corpus):
            raise ConfigError(
                f"{model} has a corpus's own labels and does not say from which folds it learned; "
                "give the one that it never saw with --fold"
            )
        if own is not None and fold is not None and own != fold:
            why = f", and {first} never saw {fold}: they have no held-out clips in common" if first else ""
            raise ConfigError(
                f"{model} has learned from fold {fold}; the fold that it never saw is {own}{why}"
            )
        if own is not None and fold is None:
            fold, first = own, model
    return fold


def _own_fold(model: str, corpus: CorpusConfig) -> tuple[int | None, LabelSet]:
    """The fold of this corpus that a model's recipe held out, if it tells one, and the model's labels."""
    described, provenance = _described(model)
    recipe = provenance.get("recipe")
    learned = cast(dict[str, Any], recipe).get("corpus") if isinstance(recipe, dict) else None
    if isinstance(learned, dict):
        from_it = cast(dict[str, Any], learned)
        fold = from_it.get("fold") if _folds_of(str(from_it.get("kind"))) == _folds_of(corpus.kind) else None
    else:
        fold = provenance.get("fold")  # a published model's, of ESC-50
    return fold if isinstance(fold, int) else None, described.labels


def _described(model: str) -> tuple[TaggerConfig, dict[str, Any]]:
    path = resolve(model)
    try:
        header = read_header(path)
    except CheckpointError:  # weights of others say nothing of folds
        return recognize(path).tagger.config, {}
    return header.config, header.provenance


def _folds_of(kind: str) -> str:
    return SAME_FOLDS.get(kind, kind)


def _has_labels_of_folds(labels: LabelSet, corpus: CorpusConfig) -> bool:
    """Whether a model's labels are those of this corpus, or of another one with the same folds."""
    alike = [known for known in CORPORA.values() if _folds_of(known.kind) == _folds_of(corpus.kind)]
    return labels.names in [corpus.labels.names, *(known.labels.names for known in alike)]
