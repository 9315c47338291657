"""Waveform to features, without learned weights.  A new front end is one file and one line here."""

from earmark.frontends.log_mel import LogMel, LogMelFrontend

FrontendConfig = LogMel

__all__ = ["FrontendConfig", "LogMel", "LogMelFrontend"]
