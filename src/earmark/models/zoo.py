"""Models by name or file."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import torch
from platformdirs import user_cache_dir
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from earmark.config import ConfigError, did_you_mean
from earmark.models.catalog import BY_NAME, PUBLISHED, Published
from earmark.models.checkpoint import CheckpointError, load_checkpoint, save
from earmark.models.download import Progress as Tell
from earmark.models.download import fetch
from earmark.models.fetched import Remote, alone
from earmark.models.foreign import is_foreign, read_foreign
from earmark.models.published import Origin, tagger_from_state
from earmark.models.tagger import Tagger

WEIGHTS = Path(__file__).parent.parent / "weights"
NAMES = ("builtin", *(entry.name for entry in PUBLISHED))
"""Models that `load` knows by name.  `builtin` ships inside the package; others are fetched at first use."""


def load(name_or_file: str | os.PathLike[str] = "builtin", *, device: str | torch.device = "cpu") -> Tagger:
    """Load a model, ready to tag and embed.

    A published model is fetched once into the cache (the user's cache folder, or `EARMARK_CACHE`) and kept
    there as earmark's own checkpoint.  A foreign `.pt` or `.pth` is recognized by its names and shapes.

    Args:
        name_or_file: a name (`builtin`, `passt-s.as2m-swa`; see `earmark models`), a checkpoint file, the
            folder of a training run, or a file of published weights.
        device: where it shall compute, such as "cpu" or "cuda".

    Raises:
        ConfigError: no such model.
        CheckpointError: the file cannot be had, is damaged or no weights that earmark knows; code in it is
            never run.

    Example:
        >>> model = load()
        >>> model.sample_rate, "Dog" in model.labels.names
        (16000, True)
    """
    path = resolve(name_or_file)
    if is_foreign(path):
        found = read_foreign(path)
        return tagger_from_state(found.state, Origin(os.fspath(path), found.notes)).to(device)
    return load_checkpoint(path, device)


def resolve(name_or_file: str | os.PathLike[str] = "builtin") -> Path:
    """The file behind a name, a path, or a run folder; a published model is fetched if need be.

    Raises:
        ConfigError: neither a known name nor an existing file; the nearest name is suggested.
        CheckpointError: a published model cannot be had.
    """
    text = os.fspath(name_or_file)
    if text == "builtin":
        return WEIGHTS / "builtin.safetensors"
    if text in BY_NAME:
        return fetch_published(BY_NAME[text], cache_folder())
    path = Path(text)
    if path.is_dir():
        path = path / "model.safetensors"
    if path.is_file():
        return path
    hint = did_you_mean(text, NAMES, f"known names: {', '.join(NAMES)}")
    raise ConfigError(f"no model {text!r}: it is neither a file, a run folder nor a known name; {hint}")


def cache_folder() -> Path:
    """Where fetched checkpoints are kept: under `EARMARK_CACHE`, or the user's cache folder."""
    return Path(os.environ.get("EARMARK_CACHE") or user_cache_dir("earmark")) / "checkpoints"


def fetch_published(entry: Published, folder: Path) -> Path:
    """Have a published model as earmark's own checkpoint in `folder`.

    The file as published stays beside it, with a record of its size and digest.

    Raises:
        CheckpointError: it cannot be had, or is not what the catalog says.
    """
    converted = folder / f"{entry.name}.safetensors"
    if converted.exists():
        return converted
    remote = Remote(entry.name, entry.url, entry.size, entry.sha256)
    original = folder / f"{entry.name}.pt"
    with _progress_bar(entry.name) as tell:
        fetch(remote, original, tell)
    try:
        with alone(converted):
            if not converted.exists():
                _convert(entry, original, converted)
    except CheckpointError as error:
        raise CheckpointError(
            original,
            f"{error.reason}; it came from {entry.url}: delete it and try again, or give another file with "
            "--model FILE",
        ) from None
    except OSError as error:
        raise CheckpointError(converted, f"cannot be written: {error.strerror or error}") from None
    return converted


def _convert(entry: Published, original: Path, converted: Path) -> None:
    """Turn published weights into a checkpoint of ours."""
    found = read_foreign(original)
    tagger = tagger_from_state(found.state, Origin(entry.name, found.notes), entry.settings)
    if len(tagger.labels) != entry.classes:
        raise CheckpointError(original, f"has {len(tagger.labels)} classes; {entry.classes} were expected")
    facts = {"name", "url", "score", "metric", "license"}
    save(tagger, converted, provenance={key: value for key, value in entry.to_dict().items() if key in facts})


@contextmanager
def _progress_bar(name: str) -> Generator[Tell | None, None, None]:
    """A bar on a terminal, from the first byte on; nothing in a pipe."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
