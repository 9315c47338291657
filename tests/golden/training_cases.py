"""Recorded pieces of PaSST's training code, and the weight files of AST and AudioTagging Done Right."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from earmark.training.augmentation.description import Augment
from earmark.training.augmentation.mixing import dominant, mix_linear
from earmark.training.augmentation.waveform import draw_waveform, mix_waveforms
from earmark.training.optimizing import curves
from earmark.training.optimizing.averaging import SWA
from earmark.training.supervised.sampling import Balanced, clip_weights

Outputs = dict[str, Tensor]


def lr_schedule(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    curve = getattr(curves, args["fn"])
    epochs = range(args["n_epochs"])
    return {
        "multiplier": torch.tensor([curve(e, *args["args"]) for e in epochs], dtype=torch.float64),
        "multiplier_half_epochs": torch.tensor(
            [curve(e + 0.5, *args["args"]) for e in epochs], dtype=torch.float64
        ),
    }


def batch_mixup(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    np.random.seed(args["np_seed"])
    torch.manual_seed(args["torch_seed"])
    permutation = torch.randperm(args["size"])
    drawn = np.random.beta(args["alpha"], args["alpha"], args["size"])
    share = torch.tensor([dominant(float(one)) for one in drawn])
    return {
        "drawn_beta": torch.from_numpy(drawn),
        "permutation": permutation,
        "lam": share,
        "x_mixed": mix_linear(inputs["x"], permutation, share),
        "y_mixed": mix_linear(inputs["y"], permutation, share),
    }


def wave_mixup(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    np.random.seed(args["np_seed"])
    torch.manual_seed(args["torch_seed"])
    waveforms, targets = inputs["x"].clone(), inputs["y"].clone()
    clips = len(waveforms)
    share, partner = torch.ones(clips, dtype=torch.float64), torch.arange(clips)
    for index in range(clips):
        if torch.rand(1) < args["rate"]:
            other = int(torch.randint(clips, (1,)))
            share[index] = dominant(float(np.random.beta(args["beta"], args["beta"])))
            partner[index] = other
            waveforms[index, 0] = mix_waveforms(
                inputs["x"][index, 0], inputs["x"][other, 0], float(share[index])
            )
    alone = share == 1
    return {
        "x": waveforms,
        "y": mix_linear(targets, partner, share),
        "lambda_used": torch.where(alone, -1.0, share),
        "partner": torch.where(alone, -1, partner),
    }


class OneClip:
    """The recorded clip as a trainer reads it, but not rounded to 16 bits."""

    sample_rate = 32000

    def __init__(self, waveform: Tensor) -> None:
        self.failures: dict[int, str] = {}
        self.samples = waveform.numpy() * np.float32(32768)

    def __len__(self) -> int:
        return 1

    def n_samples(self, index: int) -> int:
        return len(self.samples)

    def read(self, index: int, start: int = 0, count: int | None = None) -> np.ndarray:
        return self.samples[start : None if count is None else start + count]

    def scale(self, index: int) -> float:
        return 1.0


class Recorded(np.random.Generator):
    """A generator whose next whole number is the recorded one."""

    def __init__(self, drawn: int) -> None:
        super().__init__(np.random.Philox(0))
        self.drawn = drawn

    def integers(self, *_: Any, **__: Any) -> Any:
        return self.drawn


def wave_augment(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    sounds, samples = OneClip(inputs["x"][0]), inputs["x"].shape[1]

    def heard(augment: Augment, length: int = samples, drawn: int = 0) -> Tensor:
        return torch.from_numpy(draw_waveform(sounds, 0, length, augment, "zeros", Recorded(drawn)))

    drawn = []
    for seed in range(args["n"]):
        torch.manual_seed(seed)
        drawn.append(int(torch.randint(2 * args["gain"], (1,))) - args["gain"])
    loud = Augment(gain_db=args["gain"], whole_gain=True)
    return {
        "gain_db": torch.tensor(drawn),
        "gained": torch.stack([heard(loud, drawn=gain) for gain in drawn]),
        **{f"pad_or_truncate.{n}": heard(Augment(), length=n) for n in args["lengths"]},
        **{f"rolled.{shift}": heard(Augment(roll=50), drawn=shift)[None] for shift in args["shifts"]},
    }


def sample_weights(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    classes = inputs["labels"].shape[1]
    labels = [row.nonzero()[:, 0].tolist() for row in inputs["labels"]]

    def weights(offset: int, combine: str) -> Tensor:
        balanced = Balanced(offset=offset, combine=combine, replacement=False)
        return torch.from_numpy(clip_weights(balanced, labels, classes)).float()

    outputs = {"weights.default": weights(100, "sum")}
    for offset in args["offsets"]:
        outputs |= {f"weights.offset{offset}.{how}": weights(offset, how) for how in ("sum", "max")}
    for replace in (False, True):
        for epoch in range(30):  # the draws themselves are torch's, and the published shares of ranks
            draws = torch.Generator().manual_seed(epoch)
            order = torch.multinomial(outputs["weights.default"], args["epoch_len"], replace, generator=draws)
            for world in range(1, 9):
                for rank in range(world):
                    name = f"sampled.replace{replace}.world{world}.rank{rank}.epoch{epoch}"
                    outputs[name] = order[rank::world]
    return outputs


def ast_weight_file(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    labels = [row.nonzero()[:, 0].tolist() for row in inputs["labels"]]
    weights = torch.from_numpy(clip_weights(Balanced(), labels, inputs["labels"].shape[1]))
    return {"weights.ast": weights, "weights.atdr": weights}


def swa(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    model = nn.Linear(inputs["weights"].shape[2], inputs["weights"].shape[1])

    def become(epoch: int) -> None:
        model.load_state_dict({"weight": inputs["weights"][epoch], "bias": inputs["biases"][epoch]})

    become(0)
    average = SWA(start=args["swa_epoch_start"], every=args["swa_freq"]).build(model, args["max_epochs"])
    rows: list[tuple[Tensor, Tensor, int, int]] = []
    for epoch in range(args["max_epochs"]):
        become(epoch)
        before = average.count
        average.start_epoch(model, epoch)
        kept = average.average
        rows.append(
            (kept["weight"].clone(), kept["bias"].clone(), average.count, int(average.count > before))
        )
    weight, bias, count, fresh = zip(*rows, strict=True)
    return {
        "average_weight": torch.stack(weight),
        "average_bias": torch.stack(bias),
        "n_averaged": torch.tensor(count),
        "validates_average": torch.tensor(fresh),
    }


RUNNERS = (
    ast_weight_file,
    batch_mixup,
    lr_schedule,
    sample_weights,
    swa,
    wave_augment,
    wave_mixup,
)
