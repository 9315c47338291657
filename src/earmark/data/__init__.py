"""Corpora: labelled clips on disk.  A new corpus is one file and one line here."""

from typing import Annotated

from pydantic import Field

from earmark.data.audioset import AudioSet
from earmark.data.builtin import BuiltinMix
from earmark.data.clips import Clip, Split
from earmark.data.esc50 import ESC50
from earmark.data.folder import Folder
from earmark.data.fsd50k import FSD50K
from earmark.data.openmic import OpenMIC
from earmark.data.speech_commands import SpeechCommands
from earmark.data.table import Table

CorpusConfig = Annotated[
    AudioSet | BuiltinMix | ESC50 | Folder | FSD50K | OpenMIC | SpeechCommands | Table,
    Field(discriminator="kind"),
]

CORPORA: dict[str, CorpusConfig] = {
    "audioset": AudioSet(),
    "audioset-balanced": AudioSet(subset="balanced"),
    "builtin": BuiltinMix(),
    "esc10": ESC50(esc10=True),
    "esc50": ESC50(),
    "fsd50k": FSD50K(),
    "openmic": OpenMIC(),
    "speech-commands": SpeechCommands(),
}
"""Corpora by the name that the command line takes."""

__all__ = [
    "CORPORA",
    "ESC50",
    "FSD50K",
    "AudioSet",
    "BuiltinMix",
    "Clip",
    "CorpusConfig",
    "Folder",
    "OpenMIC",
    "SpeechCommands",
    "Split",
    "Table",
]
