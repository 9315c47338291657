"""Waveform to features, without learned weights.  A new front end is one file and one line here."""

from typing import Annotated

from pydantic import Field

from earmark.frontends.log_mel import LogMel, LogMelFrontend
from earmark.frontends.raw_waveform import RawWaveform, RawWaveformFrontend

FrontendConfig = Annotated[
    LogMel | RawWaveform,
    Field(discriminator="kind"),
]

__all__ = [
    "FrontendConfig",
    "LogMel",
    "LogMelFrontend",
    "RawWaveform",
    "RawWaveformFrontend",
]
