"""RAVDESS: emotions in acted speech; who speaks is held out."""

from pathlib import Path

from earmark.config import ConfigError
from earmark.data.clips import Clip
from earmark.data.preparation.hear_tasks.corpus import table
from earmark.data.preparation.hear_tasks.named_files import NamedFiles, of_named_files
from earmark.data.preparation.hear_tasks.sketch import Making, Sketch

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised")
FOLDS, ACTORS, FIELDS = 5, 24, 7


def ravdess(data: Path, making: Making) -> Sketch:
    """Eight emotions, five folds of actors; from a table, or from the published recordings by their names.

    Args:
        data: a table or a folder with one, or the archive with folders `Actor_01` and so on.
        making: settings.

    Raises:
        ConfigError: it is neither.

    Source:
        Livingstone and Russo, PLoS ONE 13(5), 2018: the third number of a name is the emotion, the last the
        actor.  The folds are ours: neighboring actors together.
    """
    files = sorted(data.glob("Actor_*/*.wav"))
    if not files:
        return table(data, making.replace(name=making.name or "ravdess"))
    clips: dict[str, list[Clip]] = {}
    for path in files:
        fields = path.stem.split("-")
        try:
            emotion, actor = EMOTIONS[int(fields[2]) - 1], int(fields[FIELDS - 1])
        except (ValueError, IndexError):
            raise ConfigError(
                f"{path.name} is not named like those of RAVDESS: 03-01-06-01-02-01-12.wav"
            ) from None
        clips.setdefault(str((actor - 1) * FOLDS // ACTORS), []).append(Clip(path, (emotion,)))
    return of_named_files(data, making, NamedFiles("ravdess", EMOTIONS, clips))
