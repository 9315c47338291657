"""Recorded cases of TALNet, TALtrans, NewNet, the plain Transformer, the linear model and FNet."""

import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from earmark.encoders import CRNN, CNNTransformer, Encoding, FNet, LinearFrames, Transformer
from earmark.encoders.conv_stack import ConvStack
from earmark.encoders.sinusoid import sinusoid
from earmark.models.heads import PoolingHead
from earmark.models.heads.pooling import PoolingHeadModule, pool_over_time
from earmark.models.published.family import renamed, swapped
from earmark.models.published.frame_models import FNET_NAMES
from earmark.models.published.talnet import NAMES, without_aliases

Outputs = dict[str, Tensor]

POOLINGS = {"ave": "mean", "lin": "linear", "att": "attention", "all": "mixed", "h-att": "linear"}
"""Recorded names of poolings where ours differ; NewNet's `h-att` is the linear one of whole groups."""

GROUP = 5
"""NewNet's `h-att` pools groups of so many frames, and leaves out those that fill no group."""


class Answer:
    """A recorded model: our encoder and head with its weights, and what passes through their modules."""

    def __init__(
        self, args: dict[str, Any], encoder: Any, head: PoolingHead, weights: Outputs, names: dict[str, str]
    ) -> None:
        n_classes = weights.get("fc_prob.weight", weights.get("pooler.fc.weight", torch.empty(0))).shape[0]
        self.net = nn.ModuleDict(
            {"encoder": encoder.build(), "head": head.build(encoder.dim, encoder.frame_dim, n_classes)}
        )
        state = renamed(without_aliases(weights), swapped(names))
        self.net.load_state_dict(state)
        self.net.eval()
        if isinstance(encoder, ConvStack):
            # In float64, because recurrent gates and untrained attention are nearly hard behind these
            # convolutions: their rounding, which differs from CPU to CPU, turns near ties by more than the
            # tolerance.
            self.net.double()
        self.args, self.names, self.seen = args, names, dict[str, Tensor]()
        for name in args.get("hooks", []):
            self._watch(name, "")
        for name in args.get("in_hooks", []):
            self._watch(name, "input_of.")
        for name in args.get("first_in_hooks", []):
            self._watch(name, "first_input_of.")

    @property
    def head(self) -> PoolingHeadModule:
        head = self.net["head"]
        assert isinstance(head, PoolingHeadModule)
        return head

    def _module(self, name: str) -> nn.Module | None:
        """Our module of a recorded name; None for those that we have in another form."""
        name = re.sub(r"^conv(\d+)", lambda found: f"conv.{int(found[1]) - 1}", name)
        ours = {n: m for n, m in self.net.named_modules() if "." in n}
        theirs = {
            next(iter(renamed({f"{n}.": torch.empty(0)}, self.names))): m
            for n, m in ours.items()
            if any(f"{n}.".startswith(begin) for begin in self.names)
        }
        return theirs.get(f"{name}.")

    def _watch(self, name: str, place: str) -> None:
        module = self._module(name)
        if module is None:
            return

        def hook(_: nn.Module, given: Any, gave: Any) -> None:
            value = given[0] if place else gave
            value = value[0] if isinstance(value, tuple) else value
            if place != "first_input_of." or f"mid.{place}{name}" not in self.seen:
                self.keep(f"{place}{name}", value)

        module.register_forward_hook(hook)

    def keep(self, name: str, value: Tensor) -> None:
        self.seen[f"mid.{name}"] = value
        flat = value.reshape(len(value), -1)
        self.seen[f"mid.{name}.strided_flat"] = flat[:, :: max(1, flat.shape[1] // 1024)]

    @torch.inference_mode()
    def run(self, x: Tensor) -> tuple[Encoding, Tensor, Outputs]:
        x = x.to(next(self.net.parameters()).dtype)
        encoding = self.net["encoder"](x.transpose(1, 2))
        return encoding, self.head(encoding).sigmoid(), self.seen


def pooling_of(init: dict[str, Any]) -> PoolingHead:
    return PoolingHead(pooling=POOLINGS.get(init["pooling"], init["pooling"]))


def failing_if(fails: bool) -> Outputs:
    """The mark of a recording on which the published code fails where earmark has an answer."""
    return {"raises": torch.tensor(1)} if fails else {}


def unpooled(init: dict[str, Any]) -> bool:
    """Whether a pooling is one that the published net takes but does not have."""
    return init["pooling"] in ("h-att", "all")


def stack(init: dict[str, Any]) -> dict[str, Any]:
    kernel = init["kernel_size"]
    return {
        "n_bands": init["n_mels"],
        "dim": init["embedding_size"],
        "blocks": init["n_conv_layers"],
        "pools": init["n_pool_layers"],
        "kernel": (kernel, kernel) if isinstance(kernel, int) else tuple(kernel),
        "batch_norm": init["batch_norm"],
        "dropout": init["dropout"],
    }


def tal_net(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    answer = Answer(args, CRNN(**stack(args["init"])), pooling_of(args["init"]), weights, NAMES)
    _, y, seen = answer.run(inputs["x"])
    return {"y": y, **seen} | failing_if(unpooled(args["init"]))


def tal_trans(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    init = args["init"]
    encoder = CNNTransformer(
        **stack(init),
        depth=init["n_trans_layers"],
        attention_dropout=init["transformer_dropout"],
        positions="spectrogram" if init["addpos"] else "none",
        position_frames=init["target_length"],
    )
    if init["addpos"]:
        table = sinusoid(init["target_length"], init["n_mels"])[None]
        weights = {"positional_encoding.pe": table} | weights
    answer = Answer(args, encoder, pooling_of(init), weights, NAMES)
    _, y, seen = answer.run(inputs["x"])
    beyond = init["addpos"] and inputs["x"].shape[1] > init["target_length"]
    return {"y": y, **seen} | failing_if(beyond or unpooled(init))


@torch.no_grad()
def with_frames(answer: Answer, x: Tensor) -> Outputs:
    """Clip probabilities, frame probabilities, attention and mixture, as NewNet and Transformer give them."""
    encoding, y, seen = answer.run(x)
    outputs = {"y.0": y, "y.1": answer.head.frame_probabilities(encoding.frames)}
    if hasattr(answer.head, "fc_att"):
        outputs["y.2"] = answer.head.attention(encoding.frames)
    if hasattr(answer.head, "ens"):
        outputs["y.3"] = answer.head.mixture(answer.head.poolings(encoding.frames))
    return outputs | seen


def new_net(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    answer = Answer(args, CRNN(**stack(args["init"])), pooling_of(args["init"]), weights, NAMES)
    outputs = with_frames(answer, inputs["x"])
    if args["init"]["pooling"] == "h-att":
        grouped = outputs["y.1"].shape[1] // GROUP * GROUP
        pooled = pool_over_time(outputs["y.1"][:, :grouped], "linear")
        outputs |= {"y.0": pooled} | failing_if(grouped == 0)
    return outputs


def transformer(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    init = args["init"]
    encoder = Transformer(
        n_bands=init["n_mels"],
        dim=init["embedding_size"],
        depth=init["n_trans_layers"],
        dropout=init["transformer_dropout"],
    )
    outputs = with_frames(Answer(args, encoder, pooling_of(init), weights, NAMES), inputs["x"])
    return outputs | failing_if(unpooled(init))


def linear(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    n_layers = sum(1 for name in weights if name.startswith("linear.") and name.endswith(".weight")) // 2
    dim, n_bands = weights["linear.0.weight"].shape
    encoder = LinearFrames(n_bands=n_bands, dim=dim, depth=n_layers)
    _, y, seen = Answer(args, encoder, PoolingHead(), weights, NAMES).run(inputs["x"])
    return {"y": y, **seen}


def fnet(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    hidden, dim = weights["encoder.layer.0.feed_forward.weight"].shape
    alternating = args["cls"] == "FFNet"
    encoder = FNet(
        n_bands=weights["input.layer_norm.weight"].shape[0],
        dim=dim,
        hidden=hidden,
        depth=1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer.")),
        mixing="alternating" if alternating else "joint",
    )
    head = PoolingHead(attention="sigmoid") if alternating else PoolingHead(probability="clamped")
    answer = Answer(args, encoder, head, weights, FNET_NAMES)
    for module in answer.net.modules():
        if isinstance(module, nn.LayerNorm):
            module.eps = args["init"].get("layer_norm_eps", module.eps)
    encoding, y, seen = answer.run(inputs["x"])
    answer.keep("encoder", encoding.frames)
    answer.keep("pooler", y)
    return {"y.0": encoding.frames, "y.1.0": y, **seen} if alternating else {"y": y, **seen}


CLASSES: dict[str, Callable[[dict[str, Any], Outputs, Outputs | None], Outputs]] = {
    "TALNet": tal_net,
    "NewNet": new_net,
    "TransformerEncoder": tal_trans,
    "Transformer": transformer,
    "LinearModel": linear,
    "FNet": fnet,
    "get_fnet": fnet,
    "FFNet": fnet,
}
