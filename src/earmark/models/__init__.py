"""A model is a marriage: front end, encoder, head and labels; and the file that holds it."""

from earmark.models.checkpoint import CheckpointError, read_header, save
from earmark.models.heads import HeadConfig, LinearHead
from earmark.models.tagger import Tagger, TaggerConfig
from earmark.models.zoo import load

__all__ = [
    "CheckpointError",
    "HeadConfig",
    "LinearHead",
    "Tagger",
    "TaggerConfig",
    "load",
    "read_header",
    "save",
]
