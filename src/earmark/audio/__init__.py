"""Any source of sound to mono float32 blocks at the rate asked for; never wrong without a word."""

from earmark.audio.cutting import Windows as Windows
from earmark.audio.cutting import pad as pad
from earmark.audio.cutting import windows as windows
from earmark.audio.decoder import AudioInfo as AudioInfo
from earmark.audio.errors import AudioError as AudioError
from earmark.audio.errors import AudioWarning as AudioWarning
from earmark.audio.errors import displayable as displayable
from earmark.audio.limits import MAX_AMPLITUDE as MAX_AMPLITUDE
from earmark.audio.limits import MAX_CHANNELS as MAX_CHANNELS
from earmark.audio.limits import MAX_SAMPLE_RATE as MAX_SAMPLE_RATE
from earmark.audio.limits import MIN_SAMPLE_RATE as MIN_SAMPLE_RATE
from earmark.audio.mono import OnTruncated as OnTruncated
from earmark.audio.mono import load as load
from earmark.audio.mono import probe as probe
from earmark.audio.mono import stream as stream
from earmark.audio.source import Source as Source
