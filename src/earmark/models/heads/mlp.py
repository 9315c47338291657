"""Two linear layers on the clip summary."""

from typing import Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from earmark.config import Frozen
from earmark.encoders import Encoding


class MlpHead(Frozen):
    """A hidden layer with a hard swish, dropout, and the classifier: EfficientAT's head.

    Attributes:
        hidden: width of the hidden layer.
        dropout: share of it dropped in training.
    """

    kind: Literal["MlpHead"] = "MlpHead"
    hidden: int = Field(default=1280, gt=0, le=65536)
    dropout: float = Field(default=0.2, ge=0, lt=1)

    def build(self, dim: int, frame_dim: int, n_classes: int) -> "MlpHeadModule":
        """The module, for a summary of width `dim`."""
        return MlpHeadModule(self, dim, n_classes)


class MlpHeadModule(nn.Module):
    """Computes `MlpHead`; see there.

    Source:
        EfficientAT (arXiv:2211.04772), whose initialization it has: normal of deviation 0.01, zero biases.
    """

    reads_frames = False

    def __init__(self, config: MlpHead, dim: int, n_classes: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(dim, config.hidden)
        self.dropout = nn.Dropout(config.dropout)
        self.linear = nn.Linear(config.hidden, n_classes)
        for layer in (self.hidden, self.linear):
            nn.init.normal_(layer.weight, std=0.01)
            nn.init.zeros_(layer.bias)

    def forward(self, encoding: Encoding) -> Float[Tensor, "batch class"]:
        """Logits of the clip summary."""
        return self.linear(self.dropout(nn.functional.hardswish(self.hidden(encoding.summary))))
