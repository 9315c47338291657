"""Waveform to features, without learned weights.  A new front end is one file and one line here."""

from typing import Annotated

from pydantic import Field

from earmark.frontends.kaldi_fbank import KaldiFbank, KaldiFbankFrontend
from earmark.frontends.log_mel import LogMel, LogMelFrontend
from earmark.frontends.magnitude_mel import MagnitudeMel, MagnitudeMelFrontend
from earmark.frontends.raw_waveform import RawWaveform, RawWaveformFrontend
from earmark.frontends.slaney_db import SlaneyDb, SlaneyDbFrontend

FrontendConfig = Annotated[
    KaldiFbank | LogMel | MagnitudeMel | RawWaveform | SlaneyDb,
    Field(discriminator="kind"),
]

__all__ = [
    "FrontendConfig",
    "KaldiFbank",
    "KaldiFbankFrontend",
    "LogMel",
    "LogMelFrontend",
    "MagnitudeMel",
    "MagnitudeMelFrontend",
    "RawWaveform",
    "RawWaveformFrontend",
    "SlaneyDb",
    "SlaneyDbFrontend",
]
