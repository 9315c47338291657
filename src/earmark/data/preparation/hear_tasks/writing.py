"""A task on disk, in the layout of hear-preprocess."""

import csv
import hashlib
import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from jaxtyping import Float

from earmark.audio import AudioError, displayable
from earmark.config import ConfigError
from earmark.data.preparation.hear_tasks.sketch import Entry, Event, Making, Sketch, Sound
from earmark.files import commit
from earmark.storage import made_folder

VERSION, MODE = "earmark1", "full"
MARK = "made_of.txt"
"""Says which sketch a folder is written from, while it is and afterwards."""


def write_task(
    sketch: Sketch, out: Path, making: Making, step: Callable[[float], None] = lambda seconds: None
) -> tuple[Path, list[str]]:
    """Write a task.  A killed one goes on where it was; sounds that are there are not made again.

    Args:
        sketch: what to write.
        out: folder for tasks; it gets one more.
        making: rates; sounds of one that is added later come beside the others.
        step: is told after each sound, with its length in seconds.

    Returns:
        The folder of the task, and sentences about sounds that cannot be read and are left out.

    Raises:
        ConfigError: the folder holds another task of the same name.
        OSError: it cannot be written.
    """
    folder = made_folder(out / f"{sketch.name}-{VERSION}-{MODE}")
    _claim(folder, sketch)
    failed: dict[str, str] = {}
    for split, entries in sketch.splits.items():
        for rate in making.rates:
            (folder / str(rate) / split).mkdir(parents=True, exist_ok=True)
            for entry in entries:
                path = folder / str(rate) / split / f"{entry.name}.wav"
                if path.exists() or entry.name in failed:
                    continue
                try:
                    sound = _fitted(entry.sound(rate), rate, sketch.seconds)
                except AudioError as error:
                    failed[entry.name] = f"{split}/{entry.name}: {error.reason}"
                    continue
                _write_wav(path, sound, rate)
                step(len(sound) / rate)
    for split, entries in sketch.splits.items():
        kept = {f"{one.name}.wav": _plain(one) for one in entries if one.name not in failed}
        _write(folder / f"{split}.json", json.dumps(kept, indent=1, ensure_ascii=False))
    _write(folder / "labelvocabulary.csv", _vocabulary(sketch))
    _write(folder / "task_metadata.json", json.dumps(_metadata(sketch), indent=1, ensure_ascii=False))
    return folder, list(failed.values())


def _claim(folder: Path, sketch: Sketch) -> None:
    """Mark a folder as that of a sketch."""
    digest = hashlib.sha256()
    for line in _said(sketch):
        digest.update(f"{line}\n".encode("utf-8", "surrogatepass"))
    mark = folder / MARK
    found = mark.read_text(encoding="utf-8").strip() if mark.is_file() else None
    if found is None and any(folder.iterdir()):
        raise ConfigError(
            f"{displayable(folder)} is not empty and holds no task of earmark's; give another --out"
        )
    if found not in (None, digest.hexdigest()):
        raise ConfigError(
            f"{displayable(folder)} holds a task made of other sounds or settings; remove it, or give "
            "another --out or --with name=NAME"
        )
    if found is None:
        _write(mark, digest.hexdigest() + "\n")


def _said(sketch: Sketch) -> Iterator[str]:
    """All that the files of a task depend on, but for the rates."""
    yield json.dumps(_metadata(sketch), sort_keys=True)
    for split, entries in sketch.splits.items():
        for entry in entries:
            yield json.dumps([split, entry.name, entry.source, _plain(entry)])


def _plain(entry: Entry) -> list[Any]:
    return [label._asdict() if isinstance(label, Event) else label for label in entry.labels]


def _metadata(sketch: Sketch) -> dict[str, Any]:
    folds = [name for name in sketch.splits if name.startswith("fold")]
    return {
        "task_name": sketch.name,
        "version": VERSION,
        "mode": MODE,
        "embedding_type": sketch.embedding,
        "prediction_type": "multiclass" if sketch.exclusive else "multilabel",
        "split_mode": "presplit_kfold" if folds else "trainvaltest",
        **({"nfolds": len(folds)} if folds else {}),
        "splits": list(sketch.splits),
        "sample_duration": sketch.seconds,
        "evaluation": list(sketch.metrics),
    }


def _vocabulary(sketch: Sketch) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["idx", "label"])
    writer.writerows(enumerate(sketch.labels))
    return text.getvalue()


def _fitted(sound: Sound, rate: int, seconds: float | None) -> Float[np.ndarray, "_"]:
    """Cut, or followed by silence, to a length."""
    if seconds is None:
        return sound
    wanted = round(seconds * rate)
    return np.pad(sound[:wanted], (0, max(0, wanted - len(sound))))


def _write_wav(path: Path, sound: Sound, rate: int) -> None:
    """16 bits, rounded; what is above full scale is cut off."""
    samples = np.rint(np.clip(sound.astype(np.float64), -1, 1) * 32767).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="WAV", subtype="PCM_16")
    with commit(path) as file:
        file.write(buffer.getbuffer())


def _write(path: Path, text: str) -> None:
    with commit(path) as file:
        file.write(text.encode())
