"""MN: the MobileNets of EfficientAT, convolutional nets that run fast on a CPU."""

from typing import Literal

from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from earmark.encoders.convolution import pooled
from earmark.encoders.encoding import Encoding, check_size, layers_until
from earmark.encoders.mobilenet import (
    MobileNet,
    PlainUnit,
    Unit,
    init_mobilenet,
    normalized,
    table,
)
from earmark.encoders.squeeze_excitation import Axis, Merge, SqueezeExcitation


class MN(MobileNet):
    """MobileNetV3-Large on spectrograms.  The defaults are the published mn10.

    Attributes:
        n_bands: mel bands that it takes.
        width: factor on all channels; mn04 is 0.4, mn10 is 1.
        strides: of units 2, 4, 7 and 13, along both axes; the stem always halves.
        excitation: the axes of squeeze and excitation, in the order of its branches; none for none.
        excitation_merge: how several branches become one.
        excitation_reduction: its hidden layers are narrower by this factor.
        n_frames: with excitation along time the net takes inputs of this length only; else unused.
        reduced_tail: units 13 to 15 have half the channels.
        dilated: units 13 to 15 dilate by two instead of striding.

    Example:
        >>> import torch
        >>> encoder = MN(width=0.1).build().eval()
        >>> encoder(torch.zeros(1, 128, 250)).summary.shape
        torch.Size([1, 96])
        >>> MN(width=0.4).dim, MN().dim
        (384, 960)
    """

    kind: Literal["MN"] = "MN"
    excitation: tuple[Axis, ...] = Field(default=("channel",), max_length=3)
    excitation_merge: Merge = "max"
    excitation_reduction: int = Field(default=4, ge=1, le=1024)
    n_frames: int = Field(default=1000, ge=1, le=1_000_000)
    reduced_tail: bool = False
    dilated: bool = False

    @property
    def units(self) -> tuple[Unit, ...]:
        """The fifteen inverted residual units."""
        return table(self, self.reduced_tail, self.dilated)

    @property
    def min_frames(self) -> int:
        """The shortest input."""
        return self.n_frames if "time" in self.excitation else 1

    @property
    def longest(self) -> int | None:
        """The longest input in frames: there is no bound, but for excitation along time."""
        return self.n_frames if "time" in self.excitation else None

    def excitation_sizes(self) -> list[list[tuple[Axis, int]]]:
        """For each unit the axes that are excited, with the length of its map along them; none for most."""
        rows, columns = halved(self.n_bands, 2), halved(self.n_frames, 2)
        sizes: list[list[tuple[Axis, int]]] = []
        for unit in self.units:
            rows, columns = halved(rows, unit.stride), halved(columns, unit.stride)
            lengths: dict[Axis, int] = {"channel": unit.expanded, "frequency": rows, "time": columns}
            sizes.append([(axis, lengths[axis]) for axis in self.excitation if unit.excited])
        return sizes

    def build(self) -> "MNEncoder":
        """The module that computes this, freshly initialized."""
        return MNEncoder(self)


def halved(length: int, stride: int) -> int:
    """What a padded convolution of some stride leaves of a length.

    Example:
        >>> halved(125, 2)
        63
    """
    return (length - 1) // stride + 1


class MNEncoder(nn.Module):
    """Computes `MN`; see there.  Parameter names are the published ones.

    Source:
        Schmid et al., arXiv:2211.04772; agrees with recorded outputs of EfficientAT's code and of the
        published mn04.  Deviations: excitation along frequency works, where the published code fails; with
        `dilated`, excitation along frequency or time is built for the map that it gets, where the published
        code counts a stride that the net does not have.
    """

    def __init__(self, config: MN) -> None:
        super().__init__()
        self.config = config
        units, dim = config.units, config.dim
        self.features = nn.Sequential(
            normalized(nn.Conv2d(1, config.stem, 3, 2, 1, bias=False), nn.Hardswish()),
            *(
                PlainUnit(unit, self._excitation(sizes))
                for unit, sizes in zip(units, config.excitation_sizes(), strict=True)
            ),
            normalized(nn.Conv2d(units[-1].out, dim, 1, bias=False), nn.Hardswish()),
        )
        self.apply(init_mobilenet)

    def _excitation(self, sizes: list[tuple[Axis, int]]) -> SqueezeExcitation | None:
        config = self.config
        if not sizes:
            return None
        return SqueezeExcitation(sizes, config.excitation_reduction, config.excitation_merge)

    def forward(self, features: Float[Tensor, "batch band frame"], layer: int | None = None) -> Encoding:
        """Encode a batch of spectrograms.

        Args:
            features: normalized log mel; `config.n_bands` bands.
            layer: stop after this unit, 0 (the stem) to 16; None for the whole encoder.

        Returns:
            Frames are the mean over bands of each column; the summary is the mean over both, which the
            published code calls features.

        Raises:
            ValueError: another number of bands, or of frames where excitation along time fixes it; or no such
                layer.
        """
        check_size(features, self.config, self.config.longest)
        return pooled(self.features[: layers_until(layer, len(self.features))](features[:, None]))
