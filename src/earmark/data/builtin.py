"""The clips that the built-in model learns from: only those whose licences let its weights be given away."""

import re
from pathlib import Path
from typing import Literal

from pydantic import Field

from earmark.config import ConfigError, Frozen
from earmark.data.clips import Clip, Split, read_rows
from earmark.data.esc50 import NAMES, read_clips
from earmark.labels import LabelSet

INSTRUMENTS = {
    "accordion": "Accordion",
    "banjo": "Banjo",
    "bass": "Bass guitar",
    "cello": "Cello",
    "clarinet": "Clarinet",
    "drums": "Drum kit",
    "flute": "Flute",
    "guitar": "Guitar",
    "harp": "Harp",
    "mallet_percussion": "Mallet percussion",
    "organ": "Organ",
    "piano": "Piano",
    "saxophone": "Saxophone",
    "synthesizer": "Synthesizer",
    "trombone": "Trombone",
    "trumpet": "Trumpet",
    "violin": "Violin, fiddle",
    "voice": "Choir",
}
FREE = ("CC0", "CC-BY")


class BuiltinMix(Frozen):
    """ESC-50's CC0 and CC BY clips, rendered instruments, and spoken digits.

    Attributes:
        fold: held out: this official fold of ESC-50 (1 to 5), of the instruments every clip of the second
            sound font, of the digits the speaker of this number.

    Source:
        ESC-50 (Piczak 2015; licence by clip), clips rendered from the FluidR3 sound font (MIT), Free Spoken
        Digit Dataset (CC BY-SA 4.0).
    """

    kind: Literal["BuiltinMix"] = "BuiltinMix"
    fold: int = Field(default=1, ge=1, le=5)

    @property
    def n_folds(self) -> int:
        """How many folds there are."""
        return 5

    @property
    def labels(self) -> LabelSet:
        """Environmental sounds, speech, music and its instruments; several may hold for a clip."""
        return LabelSet(names=(*NAMES.values(), "Speech", "Music", *INSTRUMENTS.values()))

    def read(self, root: Path) -> Split:
        """Read the folds.

        Args:
            root: a folder with `esc50_16k/`, `gm_instruments_multilabel/` and `fsdd/`.

        Raises:
            ConfigError: a folder or a table is not of this form.
        """
        split = Split(self.labels, [], [])
        self._environmental(root / "esc50_16k", split)
        self._instruments(root / "gm_instruments_multilabel", split)
        self._digits(root / "fsdd", split)
        return split

    def _environmental(self, root: Path, split: Split) -> None:
        licences = read_licences(root / "LICENSE_and_attributions.txt")
        for clip, fold, _ in read_clips(root):
            if licences.get(clip.path.stem.rpartition("-")[0]) in FREE:
                (split.test if fold == self.fold else split.train).append(clip)

    def _instruments(self, root: Path, split: Split) -> None:
        for row in read_rows(root / "metadata.csv", ("filename", "split", "labels")):
            unknown = [name for name in row["labels"].split(";") if name not in INSTRUMENTS]
            if unknown:
                raise ConfigError(
                    f"{root / 'metadata.csv'}: unknown instrument {unknown[0]!r} of {row['filename']}"
                )
            names = tuple(INSTRUMENTS[name] for name in row["labels"].split(";"))
            clip = Clip(root / "audio" / row["filename"], ("Music", *names))
            (split.test if row["split"] == "test" else split.train).append(clip)

    def _digits(self, root: Path, split: Split) -> None:
        for index, row in enumerate(read_rows(root / "metadata.csv", ("filename", "fold"))):
            if (
                index % 20 == 0
            ):  # the digits alike are many; every twentieth keeps speech from outweighing the rest
                clip = Clip(root / "audio" / row["filename"], ("Speech",))
                (split.test if row["fold"] == str(self.fold) else split.train).append(clip)


def read_licences(attributions: Path) -> dict[str, str]:
    """The licence of each clip of ESC-50, by `fold-source-take`, from the archive's own list."""
    try:
        text = attributions.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{attributions}: the licences of the clips cannot be read ({error})") from None
    return dict(re.findall(r"^- \[([^\]]+)\.\w+\]: .*\[([^\]]+)\]\s*$", text, flags=re.MULTILINE))
