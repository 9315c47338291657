"""Tasks from archives in which the name of a file says all."""

from pathlib import Path
from typing import NamedTuple

from earmark.data.clips import Clip
from earmark.data.preparation.hear_tasks.corpus import OF_ONE_LABEL, by_split, entries_of
from earmark.data.preparation.hear_tasks.sketch import Making, Sketch
from earmark.data.preparation.preparing import Placed


class NamedFiles(NamedTuple):
    """What the names say.

    Attributes:
        name: of the task.
        labels: all of them.
        clips: by what is held out together.
    """

    name: str
    labels: tuple[str, ...]
    clips: dict[str, list[Clip]]


def of_named_files(data: Path, making: Making, found: NamedFiles) -> Sketch:
    """A task with a fold for each group of clips.

    Args:
        data: the archive, as errors call it.
        making: settings.
        found: what the names say.

    Raises:
        ConfigError: there are fewer than three groups.
    """
    groups = [found.clips[name] for name in sorted(found.clips)]
    placed = [Placed(clip, None, fold) for fold, some in enumerate(groups) for clip in some]
    return Sketch(
        name=making.name or found.name,
        embedding="scene",
        exclusive=True,
        labels=found.labels,
        metrics=OF_ONE_LABEL,
        splits=entries_of(by_split(placed, data)),
        seconds=making.seconds,
    )
