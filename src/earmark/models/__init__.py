"""A model is a marriage: front end, encoder, head and labels; and the file that holds it."""

from earmark.models.checkpoint import CheckpointError, read_header, save
from earmark.models.heads import HeadConfig, LinearHead
from earmark.models.importing import import_model
from earmark.models.precision import with_precision
from earmark.models.tagger import Tagger, TaggerConfig
from earmark.models.zoo import load

__all__ = [
    "CheckpointError",
    "HeadConfig",
    "LinearHead",
    "Tagger",
    "TaggerConfig",
    "import_model",
    "load",
    "read_header",
    "save",
    "with_precision",
]
