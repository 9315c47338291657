"""`earmark stats`: mean and deviation of a front end over a corpus."""

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console

from earmark.cli.words import set_threads, tell


def stats(
    frontend: str,
    /,
    *,
    data: Path,
    corpus: str,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    threads: int | None = None,
    json_: bool = False,
) -> int:
    """Measure mean and deviation of a front end over the training clips of a corpus.

    Masks and mixup shift both: measure with those that you will train with.

    Args:
        frontend: a kind (KaldiFbank, LogMel, SlaneyDb), or a model (a name, a checkpoint file, a run folder)
            whose front end and length of clips are taken.
        data: folder of the corpus.
        corpus: builtin, esc10 or esc50.
        set_: what else to measure, such as --set frontend.length=1024, --set freq_mask=48,
            --set time_mask=192, --set mixup=0.5, --set clip_seconds=5, --set corpus.fold=2 or --set seed=1;
            may be given several times.
        threads: processor threads; PyTorch's default if not given.
        json_: one JSON object, for programs.
    """
    from earmark.cli.terminal import Watch
    from earmark.config import override
    from earmark.training.statistics import measure

    set_threads(threads)
    measurement = override(_measurement(frontend, corpus), set_ or [])
    with Watch() as watch:
        found = measure(measurement, data, heard=watch.step)
    for sentence in found.failed:
        tell(sentence)
    settings = _settings(measurement, found)
    console = Console(markup=False, highlight=False, emoji=False)
    if json_:
        tree = {"measurement": measurement.to_dict(), **found._asdict(), "set": settings}
        console.out(json.dumps(tree, indent=1), highlight=False)
    else:
        console.print(_sentence(corpus, measurement, found), soft_wrap=True)
        console.print(" ".join(f"--set {setting}" for setting in settings), soft_wrap=True)
    return 1 if found.failed else 0


def _measurement(name: str, corpus: str) -> Any:
    """What to measure, before `--set` changes it."""
    from typing import get_args

    from earmark.config import ConfigError, did_you_mean
    from earmark.data import CORPORA
    from earmark.frontends import FrontendConfig
    from earmark.models import load
    from earmark.models.zoo import members_of
    from earmark.training.statistics import Measurement

    if corpus not in CORPORA:
        raise ConfigError(f"no corpus {corpus!r}; " + did_you_mean(corpus, CORPORA, ", ".join(CORPORA) + "?"))
    kinds = {kind.__name__: kind for kind in get_args(get_args(FrontendConfig)[0])}
    if name in kinds:
        return Measurement(frontend=kinds[name](), corpus=CORPORA[corpus])
    if members_of(name) is not None:
        raise ConfigError(f"{name} is an ensemble of several front ends; name one of its members")
    try:
        model = load(name).config
    except ConfigError as error:
        raise ConfigError(f"no front end {name!r}; there are {', '.join(kinds)}.  And {error}") from None
    return Measurement(frontend=model.frontend, corpus=CORPORA[corpus], clip_seconds=model.clip_seconds)


def _settings(measurement: Any, found: Any) -> list[str]:
    from earmark.training.statistics import normalized_by

    fields = normalized_by(measurement.frontend, found.mean, found.std)
    return [f"model.frontend.{name}={value:.8g}" for name, value in fields.items()]


def _sentence(corpus: str, measurement: Any, found: Any) -> str:
    asked = {
        f"masks of up to {measurement.freq_mask} bands": measurement.freq_mask,
        f"masks of up to {measurement.time_mask} frames": measurement.time_mask,
        f"mixup of {measurement.mixup:g} of the clips": measurement.mixup,
    }
    changes = " and ".join(words for words, amount in asked.items() if amount)
    heard_by = measurement.frontend.kind + (f" with {changes}" if changes else "")
    fold = getattr(measurement.corpus, "fold", None)  # some corpora have one held-out part and no folds
    held_out = "its training part" if fold is None else f"fold {fold} held out"
    return (
        f"{found.clips} clips of {corpus} ({held_out}), {len(found.failed)} failed; heard by {heard_by}: "
        f"mean {found.mean:.4f}, deviation {found.std:.4f}; in a recipe:"
    )
