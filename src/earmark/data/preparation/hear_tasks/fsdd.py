"""The Free Spoken Digit Dataset: who speaks is held out."""

from pathlib import Path

from earmark.config import ConfigError
from earmark.data.clips import Clip
from earmark.data.preparation.hear_tasks.corpus import table
from earmark.data.preparation.hear_tasks.named_files import NamedFiles, of_named_files
from earmark.data.preparation.hear_tasks.sketch import Making, Sketch


def fsdd(data: Path, making: Making) -> Sketch:
    """Ten digits, a fold for each speaker; from a table, or from the published recordings by their names.

    Args:
        data: a table or a folder with one, or the repository with its folder `recordings`.
        making: settings.

    Raises:
        ConfigError: it is neither.

    Source:
        Jackson et al., github.com/Jakobovski/free-spoken-digit-dataset: `digit_speaker_index.wav`.
    """
    recordings = data / "recordings"
    if not recordings.is_dir():
        return table(data, making.replace(name=making.name or "fsdd"))
    clips: dict[str, list[Clip]] = {}
    for path in sorted(recordings.glob("*.wav")):
        digit, _, rest = path.stem.partition("_")
        speaker = rest.rpartition("_")[0]
        if not (len(digit) == 1 and digit.isdigit() and speaker):
            raise ConfigError(f"{path.name} is not named like those of FSDD: digit_speaker_index.wav")
        clips.setdefault(speaker, []).append(Clip(path, (digit,)))
    return of_named_files(data, making, NamedFiles("fsdd", tuple("0123456789"), clips))
