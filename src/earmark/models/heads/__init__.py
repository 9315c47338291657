"""Heads: an encoding to logits.  A new head is one file and one line here.

A head's config builds its module from the widths of summary and frames and the number of classes; the module
takes an `Encoding` and gives logits.  Heads that pool probabilities give the logit of the pooled one.
"""

from typing import Annotated

from pydantic import Field

from earmark.models.heads.attention import AttentionHead, AttentionHeadModule
from earmark.models.heads.convolutional import ConvolutionalHead, ConvolutionalHeadModule
from earmark.models.heads.linear import LinearHead, LinearHeadModule
from earmark.models.heads.mlp import MlpHead, MlpHeadModule
from earmark.models.heads.multihead_attention import MultiheadAttentionHead, MultiheadAttentionHeadModule
from earmark.models.heads.pooling import PoolingHead, PoolingHeadModule

HeadConfig = Annotated[
    AttentionHead | ConvolutionalHead | LinearHead | MlpHead | MultiheadAttentionHead | PoolingHead,
    Field(discriminator="kind"),
]

__all__ = [
    "AttentionHead",
    "AttentionHeadModule",
    "ConvolutionalHead",
    "ConvolutionalHeadModule",
    "HeadConfig",
    "LinearHead",
    "LinearHeadModule",
    "MlpHead",
    "MlpHeadModule",
    "MultiheadAttentionHead",
    "MultiheadAttentionHeadModule",
    "PoolingHead",
    "PoolingHeadModule",
]
