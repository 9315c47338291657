"""Features to an encoding.  A new encoder is one file and one line here."""

from typing import Annotated

from pydantic import Field

from earmark.encoders.encoding import Encoding, Layer
from earmark.encoders.passt import PaSST, PaSSTEncoder
from earmark.encoders.patchout import Patchout
from earmark.encoders.residual_cnn import ResidualCNN, ResidualCNNEncoder

EncoderConfig = Annotated[
    PaSST | ResidualCNN,
    Field(discriminator="kind"),
]

__all__ = [
    "EncoderConfig",
    "Encoding",
    "Layer",
    "PaSST",
    "PaSSTEncoder",
    "Patchout",
    "ResidualCNN",
    "ResidualCNNEncoder",
]
