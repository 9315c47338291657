"""A model in fewer bits: less work for the processor, and results that are a little less exact."""

import copy
from collections.abc import Callable
from itertools import chain
from typing import Literal, TypeVar, get_args

import torch
from jaxtyping import Float
from torch import Tensor, nn

from earmark.config import ConfigError
from earmark.encoders import Encoding
from earmark.models.ensemble import Ensemble
from earmark.models.tagger import Tagger

Precision = Literal["fp32", "bf16", "int8"]
Model = TypeVar("Model", bound=Tagger | Ensemble)

STEPS, ZERO = 63, 64
"""A token's values become whole numbers: `ZERO` for 0, `STEPS` above or below it for the largest."""
TINY = 1e-30


def with_precision(model: Model, precision: Precision) -> Model:
    """The same model with an encoder that computes in fewer bits; for inference only.

    - `fp32`: the model as it is.
    - `bf16`: weights of linear layers and convolutions in bfloat16, and their arithmetic too where the
      hardware has it (GPUs; processors with AVX512-BF16 or AMX).  Elsewhere emulated bfloat16 would be about
      nine times slower than float32, so only the weights are rounded: no faster, but nearly the same results.
    - `int8`: linear layers in whole numbers: weights in 8 bits with one scale for each output, inputs in 7
      with one scale for each token, found while it runs; so a batch gives what its clips give one by one.
      Convolutions, recurrent layers and attention's own products are not quantized; they compute in bfloat16
      where the processor has it, else in float32.  On a processor only.

    Front end, norms, head and all that comes out stay float32.

    Args:
        model: stays as it is, and shares what is not changed with the one that is returned.
        precision: what the encoder shall compute in.

    Returns:
        A model that cannot be saved: its weights are no longer the published ones.

    Raises:
        ConfigError: no such precision; or int8 on a GPU, without kernels for it, or for an encoder without
            linear layers; or the model is in another one already.

    Example:
        >>> from earmark.encoders import PaSST
        >>> from earmark.frontends import LogMel
        >>> from earmark.models import TaggerConfig
        >>> encoder = PaSST(n_bands=64, max_frames=100, dim=24, depth=1, heads=3)
        >>> model = TaggerConfig(
        ...     frontend=LogMel(n_mels=64), encoder=encoder, head=None, clip_seconds=1.0
        ... ).build().eval()
        >>> waveform = torch.randn(2, 32000)
        >>> exact = model.encode(waveform).summary
        >>> close = with_precision(model, "int8").encode(waveform).summary
        >>> bool((close - exact).norm() < 0.1 * exact.norm())
        True
    """
    if precision not in get_args(Precision):
        raise ConfigError(f"precision is {precision!r}; give {', '.join(get_args(Precision))}")
    now = {m.precision for m in model.modules() if isinstance(m, LoweredEncoder)} or {"fp32"}
    if now == {precision}:
        return model
    if precision == "fp32" or now != {"fp32"}:
        raise ConfigError(f"this model is in {now.pop()} already; load it anew with precision {precision!r}")
    tensors = chain(model.parameters(), model.buffers())
    lowered = copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})  # a new tree, the same tensors
    for tagger in [module for module in lowered.modules() if isinstance(module, Tagger)]:
        device = next(tagger.parameters()).device
        encoder = LoweredEncoder(tagger.encoder, precision, has_bf16(device))
        tagger.add_module("encoder", encoder.train(tagger.training))
    return lowered


def has_bf16(device: torch.device) -> bool:
    """Whether a device has units for bfloat16."""
    if device.type != "cpu":
        return True
    processor = torch.cpu
    return (
        processor._is_avx512_bf16_supported()  # pyright: ignore[reportPrivateUsage]  # torch has no public word for it
        or processor._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]  # nor for this
    )


class LoweredEncoder(nn.Module):
    """An encoder that computes in fewer bits and gives float32; see `with_precision`.

    Args:
        encoder: is changed: its linear layers and convolutions get other weights.
        precision: bf16 or int8.
        native: compute in bfloat16 what is not computed in int8.
    """

    def __init__(self, encoder: nn.Module, precision: Literal["bf16", "int8"], native: bool) -> None:
        super().__init__()
        self.precision, self.native = precision, native
        if precision == "int8":
            _quantize(encoder)
        if precision == "bf16" or native:
            _round(encoder, native)
        self.inner = encoder
        self.register_state_dict_pre_hook(_refuse)

    @torch.no_grad()
    def forward(self, features: Float[Tensor, "batch band frame"], layer: int | None = None) -> Encoding:
        """What the encoder gives."""
        with torch.autocast(features.device.type, torch.bfloat16, enabled=self.native):
            encoding = self.inner(features, layer)
        return Encoding(encoding.frames.float(), encoding.summary.float())

    @torch.no_grad()
    def summarize(self, features: Float[Tensor, "batch band frame"]) -> Float[Tensor, "batch dim"]:
        """The summary alone, by the encoder's shortcut if it has one."""
        shortcut = getattr(self.inner, "summarize", None)
        if shortcut is None:
            return self(features).summary
        with torch.autocast(features.device.type, torch.bfloat16, enabled=self.native):
            return shortcut(features).float()


class Int8Linear(nn.Module):
    """A linear layer with 8-bit weights that measures the range of each token as it comes.

    Weights are symmetric with one scale for each output; tokens are symmetric with one scale for each, in 7
    bits: processors without VNNI add pairs of products in 16 bits, and 8 would overflow there.

    Args:
        linear: the layer to stand in for, in float32.
    """

    scales: Tensor
    zeros: Tensor
    bias: Tensor | None

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.in_features, self.out_features = linear.in_features, linear.out_features
        weight = linear.weight.detach()
        scales = weight.abs().amax(dim=1).clamp(min=TINY) / 127
        self.register_buffer("scales", scales, persistent=False)
        self.register_buffer("zeros", torch.zeros(len(weight), dtype=torch.int32), persistent=False)
        bias = linear.bias
        self.register_buffer("bias", None if bias is None else bias.detach(), persistent=False)  # pyright: ignore[reportUnnecessaryComparison]  # torch's stub forgets None
        levels = (weight / scales[:, None]).round().to(torch.int8)
        self._packed = torch.ops.onednn.qlinear_prepack(levels, None)

    @torch.no_grad()
    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch out"]:
        """The linear map of each token, in float32."""
        tokens = x.reshape(-1, self.in_features).float()
        largest = torch.maximum(tokens.amax(dim=1, keepdim=True), -tokens.amin(dim=1, keepdim=True))
        largest = largest.clamp(min=TINY)  # silence; what is not finite stays so and comes out again
        levels = (tokens * (STEPS / largest)).add_(ZERO + 0.5).to(torch.uint8)
        mapped = torch.ops.onednn.qlinear_pointwise(
            *(levels, 1 / STEPS, ZERO, self._packed, self.scales, self.zeros),  # what is multiplied
            *(None, 1.0, 0, torch.float32, "none", [], ""),  # nothing is done to the product
        ).mul_(largest)
        if self.bias is not None:
            mapped = mapped.add_(self.bias)
        return mapped.view(*x.shape[:-1], self.out_features)

    def __deepcopy__(self, memo: dict[int, object]) -> "Int8Linear":
        return self  # it never changes, and packed weights cannot be copied

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> "Int8Linear":
        """What `to` and `cuda` come down to."""
        if fn(torch.empty(0)).device.type != "cpu":
            raise ConfigError("int8 weights compute on a processor only; take precision bf16 on this device")
        return super()._apply(fn, recurse)


def _quantize(encoder: nn.Module) -> None:
    if any(tensor.device.type != "cpu" for tensor in encoder.parameters()):
        raise ConfigError("int8 computes on a processor only; take precision bf16 on this device")
    if not torch.backends.mkldnn.is_available():
        raise ConfigError("int8 needs oneDNN, which this build of torch does not have; take fp32 or bf16")
    found = [
        (parent, name, child)
        for parent in encoder.modules()
        for name, child in parent.named_children()
        if type(child) is nn.Linear  # kinds of it are used by other modules, which read their weights
    ]
    if not found:
        raise ConfigError(
            "int8 is for linear layers, and this model's encoder has none; take precision fp32 or bf16"
        )
    for parent, name, child in found:
        parent.add_module(name, Int8Linear(child))


def _round(encoder: nn.Module, native: bool) -> None:
    """Round weights to bfloat16, and keep them so where that is what they are computed in."""
    for module in encoder.modules():
        own = dict(module.named_parameters(recurse=False))  # not a weight that is computed, as by weight norm
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d) and "weight" in own:
            rounded = module.weight.detach().bfloat16()
            module.weight = nn.Parameter(rounded if native else rounded.float(), requires_grad=False)


def _refuse(module: nn.Module, prefix: str, keep_vars: bool) -> None:
    if isinstance(module, LoweredEncoder):
        raise ConfigError(
            f"this model's weights are in {module.precision} and cannot be saved; "
            "save the model as it was loaded"
        )
