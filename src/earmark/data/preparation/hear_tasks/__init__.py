"""Tasks of the HEAR benchmark's layout made from what is here.  A new kind is one file and one line here."""

from collections.abc import Callable
from pathlib import Path

from earmark.data.preparation.hear_tasks.corpus import esc10, esc50, pitch, speech_commands, table
from earmark.data.preparation.hear_tasks.fsdd import fsdd
from earmark.data.preparation.hear_tasks.ravdess import ravdess
from earmark.data.preparation.hear_tasks.sketch import Entry, Event, Making, Sketch
from earmark.data.preparation.hear_tasks.timeline import timeline
from earmark.data.preparation.hear_tasks.tones import tones
from earmark.data.preparation.hear_tasks.writing import write_task

KINDS: dict[str, Callable[[Path, Making], Sketch]] = {
    "esc10": esc10,
    "esc50": esc50,
    "fsdd": fsdd,
    "pitch": pitch,
    "ravdess": ravdess,
    "speech-commands": speech_commands,
    "table": table,
    "timeline": timeline,
    "tones": tones,
}
"""What makes a task of a corpus, by the name that the command line takes."""

__all__ = ["KINDS", "Entry", "Event", "Making", "Sketch", "write_task"]
