"""Heads: an encoding to logits.  A new head is one file and one line here.

A head's config builds its module from the widths of summary and frames and the number of classes; the module
takes an `Encoding` and gives logits.  Heads that pool probabilities give the logit of the pooled one.
"""

from typing import Annotated

from pydantic import Field

from earmark.models.heads.linear import LinearHead, LinearHeadModule
from earmark.models.heads.mlp import MlpHead, MlpHeadModule

HeadConfig = Annotated[
    LinearHead | MlpHead,
    Field(discriminator="kind"),
]

__all__ = ["HeadConfig", "LinearHead", "LinearHeadModule", "MlpHead", "MlpHeadModule"]
