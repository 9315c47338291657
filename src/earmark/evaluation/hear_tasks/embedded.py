"""The sounds of a split as vectors, computed once."""

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Int64

from earmark import audio
from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.evaluation.hear_tasks.keeping import Kept, digest_of
from earmark.evaluation.hear_tasks.layout import HearTask
from earmark.evaluation.hear_tasks.listener import Listener

Sound = Float[np.ndarray, "sample"]
SHARE = 0.7
"""Of the sound that fits into a batch by the benchmark's estimate: two minutes at 16 kHz."""


class Embedded(NamedTuple):
    """Vectors of sounds: one each, or one for each point in time.

    Attributes:
        names: the files that could be heard.
        failed: why others could not.
        counts: how many vectors each file has.
        vectors: of all files, one after another.
        times: of each vector, in milliseconds; 0 for whole sounds.
        seconds: processor time that it took.
        key: a digest of all that the vectors depend on.
    """

    names: tuple[str, ...]
    failed: tuple[str, ...]
    counts: Int64[np.ndarray, "file"]
    vectors: Float[np.ndarray, "row dim"]
    times: Float[np.ndarray, "row"]
    seconds: float
    key: str


def embedded(
    task: HearTask, split: str, who: Listener, kept: Kept, step: Callable[[float], None]
) -> Embedded:
    """Embed the sounds of a split, or take what was kept.

    Args:
        task: says whether sounds or points in time are embedded.
        split: of the task.
        who: embeds.
        kept: where vectors are kept.
        step: is told after each sound, with its length in seconds.

    Raises:
        ConfigError: there is no folder of sounds, or not one sound could be heard.
    """
    folder, rate = _sounds(task, split, who.sample_rate)
    names = sorted(task.splits[split])
    paths = {name: folder / name for name in names}
    key = digest_of(who.digest, task.embedding, who.sample_rate, rate, _batch(task, who), _contents(paths))
    found = _from_arrays(kept.arrays(key), key)
    if found is None:
        found = _computed(task, who, paths, step, key)
        kept.keep_arrays(key, _to_arrays(found))
    if not found.names:
        raise ConfigError(
            f"none of {len(names)} sounds in {displayable(folder)} could be heard; the first: "
            f"{found.failed[0]}"
        )
    return found


def _sounds(task: HearTask, split: str, rate: int) -> tuple[Path, int]:
    """The folder of the model's own rate, or else of the highest there is; whole ones first."""
    rates = sorted(
        (int(path.name) for path in task.folder.iterdir() if path.name.isascii() and path.name.isdigit()),
        reverse=True,
    )
    there = [one for one in [rate, *rates] if (task.folder / str(one) / split).is_dir()]
    for one in there:  # one that is half written yet must not hide a whole one
        if all((task.folder / str(one) / split / name).is_file() for name in task.splits[split]):
            return task.folder / str(one) / split, one
    if there:
        return task.folder / str(there[0]) / split, there[0]
    raise ConfigError(
        f"{displayable(task.folder)} has no sounds of {split}: there must be a folder {rate}/{split}, or "
        "one of another rate"
    )


def _contents(paths: Mapping[str, Path]) -> list[list[str]]:
    """Names and digests of files; nothing where one cannot be read."""
    found: list[list[str]] = []
    for name, path in paths.items():
        try:
            with path.open("rb") as file:
                found.append([name, hashlib.file_digest(file, "sha256").hexdigest()])
        except OSError:
            found.append([name, ""])
    return found


def _batch(task: HearTask, who: Listener) -> int:
    """How many sounds are embedded at once, as the benchmark estimates it."""
    if not task.seconds:
        return 1
    return max(1, int(SHARE * (120 / task.seconds) * (16000 / who.sample_rate)))


def _computed(
    task: HearTask, who: Listener, paths: Mapping[str, Path], step: Callable[[float], None], key: str
) -> Embedded:
    began = time.process_time()
    names: list[str] = []
    failed: list[str] = []
    vectors: list[Any] = []
    times: list[Any] = []
    for heard, sounds in _batches(_decoded(paths, who.sample_rate, failed), _batch(task, who)):
        stacked = torch.from_numpy(np.stack(sounds))
        if task.embedding == "scene":
            found = who.scenes(stacked)[:, None]
            when = torch.zeros(len(found), 1)
        else:
            found, when = who.timestamps(stacked)
        for place, name in enumerate(heard):
            if not bool(found[place].isfinite().all()):
                failed.append(f"{name}: its embedding holds numbers that are not finite")
                continue
            names.append(name)
            vectors.append(found[place].numpy())
            times.append(when[place].numpy())
        for sound in sounds:
            step(len(sound) / who.sample_rate)
    return Embedded(
        tuple(names),
        tuple(failed),
        np.array([len(one) for one in vectors], dtype=np.int64),
        np.concatenate(vectors) if vectors else np.zeros((0, 1), np.float32),
        np.concatenate(times).astype(np.float32) if times else np.zeros(0, np.float32),
        time.process_time() - began,
        key,
    )


def _decoded(paths: Mapping[str, Path], rate: int, failed: list[str]) -> Iterator[tuple[str, Sound]]:
    """Sounds that can be read; of others it is said why not."""
    for name, path in paths.items():
        try:
            yield name, audio.load(path, rate)
        except audio.AudioError as error:
            failed.append(f"{name}: {error.reason}")


def _batches(sounds: Iterator[tuple[str, Sound]], size: int) -> Iterator[tuple[list[str], list[Sound]]]:
    """Neighbors of one length, so many at once."""
    for _, alike in groupby(sounds, key=lambda sound: len(sound[1])):
        held: list[tuple[str, Sound]] = []
        for sound in alike:
            held.append(sound)
            if len(held) == size:
                yield [name for name, _ in held], [samples for _, samples in held]
                held = []
        if held:
            yield [name for name, _ in held], [samples for _, samples in held]


def _to_arrays(found: Embedded) -> dict[str, Any]:
    texts = json.dumps({"names": found.names, "failed": found.failed, "seconds": found.seconds})
    about = np.frombuffer(texts.encode(), dtype=np.uint8)
    return {"about": about, "counts": found.counts, "vectors": found.vectors, "times": found.times}


def _from_arrays(arrays: dict[str, Any] | None, key: str) -> Embedded | None:
    if arrays is None:
        return None
    told = json.loads(bytes(arrays["about"]).decode())
    names, failed = tuple(told["names"]), tuple(told["failed"])
    return Embedded(names, failed, arrays["counts"], arrays["vectors"], arrays["times"], told["seconds"], key)
