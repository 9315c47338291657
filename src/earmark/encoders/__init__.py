"""Features to an encoding.  A new encoder is one file and one line here."""

from typing import Annotated

from pydantic import Field

from earmark.encoders.ast import AST, ASTEncoder
from earmark.encoders.clip_statistics import ClipStatistics, ClipStatisticsEncoder
from earmark.encoders.clusters import Clusters
from earmark.encoders.cnn_transformer import CNNTransformer, CNNTransformerEncoder
from earmark.encoders.crnn import CRNN, CRNNEncoder
from earmark.encoders.dbert import DBERT, DBERTEncoder
from earmark.encoders.dymn import DyMN, DyMNEncoder
from earmark.encoders.efficientnet import EfficientNet, EfficientNetEncoder
from earmark.encoders.encoding import Encoding, Layer
from earmark.encoders.fnet import FNet, FNetEncoder
from earmark.encoders.linear_frames import LinearFrames, LinearFramesEncoder
from earmark.encoders.mn import MN, MNEncoder
from earmark.encoders.mobilenet_v2 import MobileNetV2, MobileNetV2Encoder
from earmark.encoders.passt import PaSST, PaSSTEncoder
from earmark.encoders.patchout import Patchout
from earmark.encoders.plain_cnn import PlainCNN, PlainCNNEncoder
from earmark.encoders.residual_cnn import ResidualCNN, ResidualCNNEncoder
from earmark.encoders.resnet import ResNet, ResNetEncoder
from earmark.encoders.transformer import Transformer, TransformerEncoder

EncoderConfig = Annotated[
    AST
    | ClipStatistics
    | CNNTransformer
    | CRNN
    | DBERT
    | DyMN
    | EfficientNet
    | FNet
    | LinearFrames
    | MN
    | MobileNetV2
    | PaSST
    | PlainCNN
    | ResidualCNN
    | ResNet
    | Transformer,
    Field(discriminator="kind"),
]

__all__ = [
    "AST",
    "CRNN",
    "DBERT",
    "MN",
    "ASTEncoder",
    "CNNTransformer",
    "CNNTransformerEncoder",
    "CRNNEncoder",
    "ClipStatistics",
    "ClipStatisticsEncoder",
    "Clusters",
    "DBERTEncoder",
    "DyMN",
    "DyMNEncoder",
    "EfficientNet",
    "EfficientNetEncoder",
    "EncoderConfig",
    "Encoding",
    "FNet",
    "FNetEncoder",
    "Layer",
    "LinearFrames",
    "LinearFramesEncoder",
    "MNEncoder",
    "MobileNetV2",
    "MobileNetV2Encoder",
    "PaSST",
    "PaSSTEncoder",
    "Patchout",
    "PlainCNN",
    "PlainCNNEncoder",
    "ResNet",
    "ResNetEncoder",
    "ResidualCNN",
    "ResidualCNNEncoder",
    "Transformer",
    "TransformerEncoder",
]
