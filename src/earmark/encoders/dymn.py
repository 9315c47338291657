"""DyMN: the dynamic MobileNets of EfficientAT."""

from typing import Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from earmark.encoders.convolution import divisible, pooled
from earmark.encoders.dynamic_unit import DynamicConv, DynamicUnit
from earmark.encoders.encoding import Encoding, check_size, layers_until
from earmark.encoders.mobilenet import (
    MobileNet,
    PlainUnit,
    Unit,
    init_mobilenet,
    normalized,
)


class DyMN(MobileNet):
    """A MobileNet whose kernels and activations follow each clip.  The defaults are the published dymn10.

    Attributes:
        n_bands: mel bands that it takes.
        width: factor on all channels; dymn04 is 0.4, dymn10 is 1.
        strides: of units 2, 4, 7 and 13, along both axes; the stem always halves.
        dynamic: which units are dynamic: all, or only those that MobileNetV3 squeezes and excites.
        temperature: of the choice among kernels: 1 for the weights trained on AudioSet; training starts from
            30.  Weights do not tell.

    Example:
        >>> import torch
        >>> encoder = DyMN(width=0.1).build().eval()
        >>> encoder(torch.zeros(1, 128, 250)).summary.shape
        torch.Size([1, 96])
    """

    kind: Literal["DyMN"] = "DyMN"
    dynamic: Literal["all", "replace_se"] = "all"
    temperature: float = Field(default=1.0, gt=0, le=1000)

    def is_dynamic(self, unit: Unit) -> bool:
        """Whether a unit of this net is dynamic."""
        return unit.excited or self.dynamic == "all"

    def context(self, unit: Unit) -> int:
        """Width of a dynamic unit's context."""
        low, high = divisible(32 * self.width), divisible(128 * self.width)
        return min(max(divisible(unit.expanded // 4), low), high)

    def build(self) -> "DyMNEncoder":
        """The module that computes this, freshly initialized."""
        return DyMNEncoder(self)


class DyMNEncoder(nn.Module):
    """Computes `DyMN`; see there.  Parameter names are the published ones.

    Source:
        Schmid et al., arXiv:2310.15648; agrees with recorded outputs of EfficientAT's code.
    """

    def __init__(self, config: DyMN) -> None:
        super().__init__()
        self.config = config
        units, dim = config.units, config.dim
        self.in_c = normalized(nn.Conv2d(1, config.stem, 3, 2, 1, bias=False), nn.Hardswish())
        self.layers = nn.ModuleList(
            DynamicUnit(unit, config.context(unit)) if config.is_dynamic(unit) else PlainUnit(unit)
            for unit in units
        )
        self.out_c = normalized(nn.Conv2d(units[-1].out, dim, 1, bias=False), nn.Hardswish())
        self.apply(init_mobilenet)
        self.set_temperature(config.temperature)

    def set_temperature(self, temperature: float) -> None:
        """Set how evenly kernels are mixed: training lowers it from epoch to epoch."""
        for module in self.modules():
            if isinstance(module, DynamicConv):
                module.temperature = temperature

    def forward(self, features: Float[Tensor, "batch band frame"], layer: int | None = None) -> Encoding:
        """Encode a batch of spectrograms.

        Args:
            features: normalized log mel; `config.n_bands` bands.
            layer: stop after this unit, 0 (the stem) to 16; None for the whole encoder.

        Returns:
            Frames are the mean over bands of each column; the summary is the mean over both.

        Raises:
            ValueError: another number of bands, or no such layer.
        """
        check_size(features, self.config)
        steps = [self.in_c, *self.layers, self.out_c]
        grid = features[:, None]
        for step in steps[: layers_until(layer, len(steps))]:
            grid = step(grid)
        return pooled(grid)
