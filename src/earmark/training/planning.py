"""What a run would be, before it is begun."""

import json
from typing import Any, NamedTuple

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx
from torch.overrides import TorchFunctionMode

from earmark.data import Split
from earmark.models import Tagger, TaggerConfig
from earmark.training.distributing.sharding import blocks_of
from earmark.training.learning import AnyRecipe
from earmark.training.settings import Settings

MOMENTS = 2
"""Numbers that Adam keeps for each parameter."""

PROCESS_BYTES = 350_000_000
"""Python, PyTorch and what they have read, before a model is built."""

WHILE_COMPUTED = {True: 1.15, False: 1.75}
"""By how much the memory in use while a gradient is computed exceeds what was kept for it: transformers, and
convolutional nets, whose gradients of early layers are as large as the layers.  Measured."""

FRAMES_IN_HAND = 3
"""How many copies of a clip's frames, as long as their transform, a front end has in hand.  Measured."""


class Kept(NamedTuple):
    """What a training step keeps of a clip until the gradient is computed.

    Attributes:
        tokens: that the first transformer block gets, after patchout; None where there are no such blocks.
        bytes: of all.
        recomputed_bytes: of all, where blocks compute their activations anew.
        frontend_bytes: of what the front end has in hand before that; an allocator rarely gives it back.
    """

    tokens: int | None
    bytes: int
    recomputed_bytes: int
    frontend_bytes: int


class Plan(NamedTuple):
    """The size of a run.

    Attributes:
        recipe: what would be computed.
        clips: to learn from, to choose by, and held out.
        parameters: learned numbers of the model.
        tokens: of a clip in training, after patchout; None where the encoder has no transformer blocks.
        steps: of the whole run.
        fixed_bytes: weights, their gradient, the optimizer's memory and the average.
        clip_bytes: what one clip takes.
        batch: clips that are in memory at once.
    """

    recipe: AnyRecipe
    clips: tuple[int, int, int]
    parameters: int
    tokens: int | None
    steps: int
    fixed_bytes: int
    clip_bytes: int
    batch: int

    @property
    def memory_bytes(self) -> int:
        """An estimate of the memory that the training process takes at its peak."""
        return PROCESS_BYTES + self.fixed_bytes + self.batch * self.clip_bytes

    def __str__(self) -> str:
        learned, chosen, held_out = self.clips
        tokens = f"{self.tokens} tokens a clip, " if self.tokens else ""
        return "\n".join(
            [
                json.dumps(self.recipe.to_dict(), indent=2, ensure_ascii=False),
                f"clips: {learned:,} to learn from, {chosen:,} for validation, {held_out:,} held out",
                f"model: {self.parameters:,} parameters, {tokens}{self.recipe.heard_seconds:g} s clips",
                f"steps: {self.steps:,} of {self.recipe.batch_size} clips in {self.recipe.epochs} epochs",
                f"memory: about {self.memory_bytes / 1e9:.2f} GB = {PROCESS_BYTES / 1e9:.2f} GB for the "
                f"process + {self.fixed_bytes / 1e9:.2f} GB for the model and its optimizer + {self.batch} "
                f"clips x {self.clip_bytes / 1e6:.1f} MB",
            ]
        )


def plan(recipe: AnyRecipe, split: Split, settings: Settings) -> Plan:
    """Size up a run without computing anything.

    Args:
        recipe: what would be computed.
        split: its corpus.
        settings: where it would be computed.
    """
    count = Tagger(recipe.model, hollow=True).count_parameters()
    clips = recipe.epoch_clips or len(split.train)
    copies = 2 + MOMENTS + recipe.keeps_copy
    kept = kept_for_gradient(recipe.heard_model)
    clip_bytes = kept.recomputed_bytes if settings.recompute else kept.bytes
    if recipe.precision != "fp32":
        clip_bytes //= 2
    return Plan(
        recipe=recipe,
        clips=(len(split.train), len(split.validation), len(split.test)),
        parameters=count,
        tokens=kept.tokens,
        steps=recipe.epochs * -(-clips // recipe.batch_size),
        fixed_bytes=4 * copies * count,
        clip_bytes=round(WHILE_COMPUTED[kept.tokens is not None] * clip_bytes) + kept.frontend_bytes,
        batch=min(settings.micro_batch or recipe.batch_size, recipe.batch_size, max(1, clips)),
    )


def kept_for_gradient(config: TaggerConfig) -> Kept:
    """What a training step keeps of a clip until its gradient is computed.

    The network runs on tensors without memory, and what autograd would save is counted, each memory once.

    Args:
        config: the model.

    Example:
        >>> from earmark.encoders import PaSST, Patchout
        >>> from earmark.frontends import LogMel
        >>> from earmark.labels import LabelSet
        >>> whole = TaggerConfig(frontend=LogMel(), encoder=PaSST(), labels=LabelSet(names=("Dog",)))
        >>> kept_for_gradient(whole).tokens
        1190
        >>> fewer = PaSST(patchout=Patchout(time=40, frequency=4))
        >>> kept_for_gradient(whole.replace(encoder=fewer)).tokens
        474
    """
    batch = 2
    model = Tagger(config, hollow=True).train()
    ledger = _Ledger(model)
    frames = config.frontend.n_frames(round(config.clip_seconds * config.frontend.sample_rate))
    features = torch.empty(batch, config.frontend.n_bands, frames, device="meta")
    with _FusedAttention(), torch.autograd.graph.saved_tensors_hooks(ledger.note, lambda tensor: tensor):
        encoding = model.encoder(features)
        given = encoding if model.head is None else model.classify(encoding)
    del encoding, given
    within, inputs = sum(ledger.blocks), sum(ledger.inputs)
    recomputed = ledger.total - within + inputs + max(ledger.blocks, default=0)
    n_fft = getattr(config.frontend, "n_fft", 0)
    return Kept(
        ledger.tokens,
        ledger.total // batch,
        recomputed // batch,
        4 * frames * (2 * n_fft + config.frontend.n_bands),
    )


class _Ledger:
    """Counts the memory that autograd saves, in all and in each block of the encoder."""

    def __init__(self, model: Tagger) -> None:
        self.seen = {_memory(parameter) for parameter in model.parameters()}
        self.held: list[Tensor] = []  # else a memory that is given back could be counted as another
        self.total = 0
        self.tokens: int | None = None
        self.blocks: list[int] = []
        self.inputs: list[int] = []
        self.in_tokens = isinstance(getattr(model.encoder, "blocks", None), nn.ModuleList)
        for block in blocks_of(model.encoder):
            block.register_forward_pre_hook(self._enter)
            block.register_forward_hook(self._leave)

    def note(self, tensor: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
        """Called for each tensor that is saved."""
        if _memory(tensor) not in self.seen:
            self.seen.add(_memory(tensor))
            self.held.append(tensor)
            self.total += tensor.untyped_storage().nbytes()
        return tensor

    def _enter(self, _: nn.Module, arguments: tuple[Any, ...]) -> None:
        given: Tensor = arguments[0]
        if self.in_tokens and self.tokens is None:
            self.tokens = given.shape[1]
        self.inputs.append(given.numel() * given.element_size())
        self.blocks.append(-self.total)

    def _leave(self, *_: Any) -> None:
        self.blocks[-1] += self.total


class _FusedAttention(TorchFunctionMode):
    """Attention keeps what the fused kernels keep; without memory torch would take the plain way, and keep
    more."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is nn.functional.scaled_dot_product_attention:
            return _Attended.apply(*args[:3])
        return func(*args, **(kwargs or {}))


class _Attended(torch.autograd.Function):
    """What a fused kernel keeps: queries, keys, values and its output."""

    @staticmethod
    def forward(ctx: FunctionCtx, *inputs: Any) -> Any:
        output = torch.empty_like(inputs[0])
        ctx.save_for_backward(*inputs, output)
        return output


def _memory(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata  # pyright: ignore[reportPrivateUsage] (the one name that a memory has)
