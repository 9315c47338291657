"""Speech Commands, version 2: 35 spoken words, one second each."""

from pathlib import Path
from typing import Literal

from earmark.config import ConfigError, Frozen
from earmark.data.archives import unpacked
from earmark.data.clips import Clip, Split
from earmark.labels import SPEECH_COMMANDS, LabelSet

LISTS = ("validation_list.txt", "testing_list.txt")
FOLDERS = ("speech_commands_v0.02", "SpeechCommands/speech_commands_v0.02", "speech_commands")


class SpeechCommands(Frozen):
    """Speech Commands v2 from the official archive, all 35 words.

    The archive's two lists name what is for choosing and what is held out; all other clips of the 35 folders
    are learned from.  `_background_noise_` is no word and is left out.

    Source:
        Warden, Speech Commands: a dataset for limited-vocabulary speech recognition, arXiv:1804.03209; the
        classes in the order in which AST's published recipe numbers them.

    Example:
        >>> SpeechCommands().labels.names[:3]
        ('backward', 'follow', 'five')
    """

    kind: Literal["SpeechCommands"] = "SpeechCommands"

    @property
    def n_folds(self) -> int:
        """There are no folds: one part is held out by its makers."""
        return 0

    @property
    def labels(self) -> LabelSet:
        """The 35 words; one holds for each clip."""
        return LabelSet(names=SPEECH_COMMANDS, exclusive=True)

    def read(self, root: Path) -> Split:
        """Read the three parts.

        Args:
            root: the folder with a folder for each word, `validation_list.txt` and `testing_list.txt`.

        Raises:
            ConfigError: a list or a word is not there, or a list names what is none of the words.
        """
        root = unpacked(root, FOLDERS, LISTS[1], "Speech Commands v2")
        validation, testing = (_listed(root / name) for name in LISTS)
        split = Split(self.labels, [], [], [])
        chosen: list[Clip] = []
        seen: set[str] = set()
        for word in SPEECH_COMMANDS:
            for path in _recordings(root / word):
                name = f"{word}/{path.name}"
                seen.add(name)
                part = split.test if name in testing else chosen if name in validation else split.train
                part.append(Clip(path, (word,)))
        missing = sorted((validation | testing) - seen)
        return split._replace(validation=chosen, missing=missing)


def _listed(path: Path) -> set[str]:
    """The `word/file` names of a list."""
    try:
        lines = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as a list of clips ({error})") from None
    wrong = next((line for line in lines if line.partition("/")[0] not in SPEECH_COMMANDS), None)
    if wrong is not None:
        raise ConfigError(f"{path}: {wrong!r:.100} is no clip of the 35 words; lines look like dog/name.wav")
    return set(lines)


def _recordings(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder}; Speech Commands v2 has one for each of its 35 words")
    return sorted(path for path in folder.iterdir() if path.suffix.lower() == ".wav")
