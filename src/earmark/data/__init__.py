"""Corpora: labelled clips on disk.  A new corpus is one file and one line here."""

from typing import Annotated

from pydantic import Field

from earmark.data.builtin import BuiltinMix
from earmark.data.clips import Clip, Split
from earmark.data.esc50 import ESC50

CorpusConfig = Annotated[ESC50 | BuiltinMix, Field(discriminator="kind")]

CORPORA: dict[str, ESC50 | BuiltinMix] = {
    "builtin": BuiltinMix(),
    "esc10": ESC50(esc10=True),
    "esc50": ESC50(),
}
"""Corpora by the name that the command line takes."""

__all__ = ["CORPORA", "ESC50", "BuiltinMix", "Clip", "CorpusConfig", "Split"]
