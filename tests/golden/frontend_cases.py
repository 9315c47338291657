"""Recorded features of AST, PSLA, AudioTagging Done Right and ikiskin's AST."""

import random
from typing import Any

import numpy as np
import torch
from torch import Tensor

from earmark.frontends import KaldiFbank, MagnitudeMel, SlaneyDb
from earmark.training.augmentation.spectrogram import spec_augment
from earmark.training.augmentation.waveform import mix_waveforms

Outputs = dict[str, Tensor]


def fbank(args: dict[str, Any]) -> KaldiFbank | SlaneyDb:
    """The front end that the published loader takes for so many bands."""
    own = {"n_mels": args["n_mels"], "mean": args["mean"], "std": args["std"]}
    if args["code"] == "AudioTaggingDoneRight" and args["n_mels"] <= 100:
        return SlaneyDb(decibels="doubled", **own)
    return KaldiFbank(deviations=1.0 if args["code"].endswith("psla") else 2.0, **own)


def mixed(args: dict[str, Any], inputs: Outputs) -> tuple[Tensor, Tensor]:
    """The waveform and its targets: the first clip is of classes 0 and 2, its partner of class 1."""
    waveform = inputs["audio"][0]
    if args["np_seed"] is not None:
        random.seed(args["np_seed"])
        np.random.seed(args["np_seed"])
    if random.random() >= args["mixup"]:
        return waveform[None], torch.tensor([1.0, 0.0, 1.0])
    itself = random.randint(0, 1) == 0  # the partner is drawn from all clips
    share = np.random.beta(10, 10)
    waveform = mix_waveforms(waveform, waveform if itself else inputs["audio2"][0], share)
    own = 1.0 if itself else share
    return waveform[None], torch.tensor([own, 1.0 - own, own])


def ast_fbank(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    config, target = fbank(args), args["target_length"]
    waveform, labels = mixed(args, inputs)
    own = config.n_frames(waveform.shape[1])
    if own <= target + 1:
        config = config.replace(length=target)  # more is refused: there the loader's cut is made here
    plain = config.replace(mean=0.0, std=1.0, deviations=1.0)
    raw, features = (one.build()(waveform)[:, :, :target] for one in (plain, config))
    if args.get("torch_seed") is not None:
        torch.manual_seed(args["torch_seed"])
    masks = {"freq_mask": args.get("freqm", 0), "time_mask": args.get("timem", 0)}
    raw, features = raw[0].T, spec_augment(features, fill=config.fill, **masks)[0].T
    stride = args["stride"]
    return {
        "fbank_raw_strided": raw[::stride],
        "fbank_raw_first8": raw[:8],
        "n_unpadded_frames": torch.tensor(min(own, target)),
        "fbank_norm_strided": features[::stride],
        "fbank_norm_mean_over_time": features.double().mean(dim=0),
        "fbank_shape": torch.tensor(features.shape),
        "labels": labels,
    }


def ik_fbank(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    frontend = MagnitudeMel(
        sample_rate=args["sr"],
        n_fft=args["fft_len"],
        win_length=args["win_len"],
        hop_length=args["hop_len"],
        n_mels=args["n_mel"],
        int16=True,
    ).build()
    outputs = {"mel_weights": frontend.bank.T.double(), "window": frontend.window(inputs["audio"].double())}
    for row, clip in enumerate(inputs["audio"]):
        log_mel = frontend.log_mel(clip[None])[0]
        features = frontend(clip[None])[0].T
        outputs |= {
            f"log_mel_strided.{row}": log_mel[:: args["stride"]].double(),
            f"normalised_strided.{row}": features[:: args["stride"]].double(),
            f"shape.{row}": torch.tensor(features.shape),
            f"int16_first16.{row}": frontend.samples(clip[None])[0, :16].long(),
        }
    return outputs


RUNNERS = (ast_fbank, ik_fbank)
