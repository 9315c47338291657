"""EfficientAT's recorded cases: front end, nets, real clips and HEAR embeddings."""

import hashlib
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import soundfile
import torch
from passt_cases import log_mel
from torch import Tensor, nn

from earmark import audio
from earmark.encoders import MN, DyMN
from earmark.frontends import LogMel
from earmark.labels import LabelSet
from earmark.models import Tagger, TaggerConfig
from earmark.models.foreign import read_state_dict
from earmark.models.heads import ConvolutionalHead, MlpHead, MultiheadAttentionHead
from earmark.models.published.efficientat import EFFICIENTAT
from earmark.training.augmentation.spectrogram import spec_augment

Outputs = dict[str, Tensor]

AXES = {"c": "channel", "f": "frequency", "t": "time"}
MERGES = {"max": "max", "avg": "mean", "add": "sum", "min": "min"}
RATE, WINDOW, HOP = 32000, 5120, 1600


def data_folder() -> Path | None:
    """Where real data and weights are: named by the environment, or beside the recordings."""
    library = sys.modules.get("golden_lib")
    beside = Path(library.__file__).parent.parent / "data" if library and library.__file__ else None
    told = os.environ.get("EARMARK_DATA")
    folder = Path(told) if told else beside
    return folder if folder and (folder / "weights").is_dir() else None


def verified(path: Path, sha256: str) -> Path:
    assert hashlib.sha256(path.read_bytes()).hexdigest() == sha256, path
    return path


def published_weights(args: dict[str, Any]) -> Outputs | None:
    folder = data_folder()
    if folder is None:
        return None
    path = folder / "weights" / "efficientat_mn04" / args["weights"]["file"]
    return read_state_dict(verified(path, args["weights"]["sha256"]))


def mn_encoder(init: dict[str, Any]) -> MN:
    letters = init.get("se_dims", "c")
    return MN(
        n_bands=init.get("input_dim_f", 128),
        width=init.get("width_mult", 1.0),
        strides=tuple(init.get("strides", (2, 2, 2, 2))),
        excitation=tuple(AXES[letter] for letter in letters if letters != "none"),
        excitation_merge=MERGES[init.get("se_agg", "max")],
        excitation_reduction=init.get("se_r", 4),
        n_frames=init.get("input_dim_t", 1000),
        reduced_tail=init.get("reduced_tail", False),
        dilated=init.get("dilated", False),
    )


def dymn_encoder(init: dict[str, Any], temperature: float) -> DyMN:
    return DyMN(
        n_bands=init.get("input_dim_f", 128),
        width=init.get("width_mult", 1.0),
        strides=tuple(init.get("strides", (2, 2, 2, 2))),
        dynamic=init.get("use_dy_blocks", "all"),
        temperature=temperature,
    )


def head(init: dict[str, Any], weights: Outputs) -> Any:
    kind = init.get("head_type", "mlp")
    if kind == "mlp":
        return MlpHead(hidden=len(weights["classifier.2.weight"]))
    if kind == "fully_convolutional":
        return ConvolutionalHead()
    return MultiheadAttentionHead(heads=weights["classifier.head_weight"].shape[1])


def tagger(args: dict[str, Any], weights: Outputs, bands: int | None = None) -> Tagger:
    """The described net, filled through the family's own mapping of names."""
    init = args["init"]
    dynamic = args.get("arch", "mn") == "dymn"
    encoder = dymn_encoder(init, args.get("temperature", 1.0)) if dynamic else mn_encoder(init)
    mel = log_mel(args["mel"]) if "mel" in args else LogMel()
    if bands is not None and "frequency" not in getattr(encoder, "excitation", ()):
        encoder = encoder.replace(n_bands=bands)  # nothing else depends on their number
    names = tuple(f"class {i}" for i in range(init.get("num_classes", 527)))
    config = TaggerConfig(
        frontend=mel.replace(n_mels=encoder.n_bands),
        encoder=encoder,
        head=head(init, weights),
        labels=LabelSet(names=names),
        clip_seconds=encoder.longest * mel.frame_seconds if encoder.longest else 10.0,
    )
    model = Tagger(config)
    model.load_state_dict(dict(EFFICIENTAT.from_published(config, weights)))
    return model.eval()


def mn_mel(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    init = args["init"]
    config = log_mel(init)
    frontend = config.build().train(args["mode"] == "train")
    fmin, fmax = config.fmin, config.fmax
    if args["torch_seed"] is not None:
        torch.manual_seed(args["torch_seed"])
    if frontend.training:
        fmin, fmax = frontend.draw_edges()
        torch.manual_seed(args["torch_seed"])
    mel = frontend(inputs["audio"])
    if frontend.training and (init.get("freqm") or init.get("timem")):
        mel = spec_augment(mel, freq_mask=init["freqm"], time_mask=init["timem"], fill=config.fill)
    ends = args.get("ends", 4)
    outputs = {
        "mel_strided": mel[..., :: args["stride"]],
        "mel_first": mel[..., :ends],
        "mel_last": mel[..., -ends:],
        "mel_mean_over_time": mel.double().mean(dim=-1),
        "mel_shape": torch.tensor(mel.shape),
        "fmin_fmax_used": torch.tensor([fmin, fmax], dtype=torch.float64),
    }
    if args["want_basis"]:
        bank = frontend.bank_between(fmin, fmax)
        outputs["mel_basis_sum"] = bank.double().sum(dim=1)
        outputs["mel_basis_argmax"] = bank.argmax(dim=1)
        outputs["empty_rows"] = (bank == 0).all(dim=1)
    return outputs


@contextmanager
def watched(modules: dict[str, nn.Module]) -> Any:
    """What some modules give while they run, by name."""
    seen: Outputs = {}

    def keep(name: str) -> Callable[..., None]:
        return lambda _, arguments, output: seen.update({name: output.clone()})

    handles = [module.register_forward_hook(keep(name)) for name, module in modules.items()]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def units(model: Tagger) -> list[nn.Module]:
    encoder: Any = model.encoder
    if hasattr(encoder, "features"):
        return list(encoder.features)
    return [encoder.in_c, *encoder.layers, encoder.out_c]


@torch.no_grad()
def mn_forward(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs | None:
    weights = published_weights(args) if "weights" in args else weights
    if weights is None:
        return None
    weights = weights | dymn_constants(args, weights)
    for name, factor in args.get("weight_mult", {}).items():
        weights[name] = weights[name] * factor
    spec = inputs.get("spec")
    if spec is not None and spec.ndim != 4:
        raise ValueError("the published nets take (batch, 1, band, frame)")
    model = tagger(args, weights, None if spec is None else spec.shape[2])
    features = model.frontend(inputs["audio"]) if spec is None else spec[:, 0]
    with watched({f"unit{k}": units(model)[int(k)] for k in args["taps"]}) as seen:
        encoding = model.encoder(features)
    logits = model.classify(encoding)
    outputs = published_shapes(logits, encoding.summary, args.get("arch", "mn"))
    for name, grid in seen.items():
        a, b, c = args["taps"][name.removeprefix("unit")]
        outputs[f"{name}_strided"] = grid[:, ::a, ::b, ::c]
        outputs[f"{name}_shape"] = torch.tensor(grid.shape)
        outputs[f"{name}_channel_mean"] = grid.double().mean(dim=(2, 3))
    if published_fails(args):
        outputs["raises"] = torch.tensor(1)
    return outputs


def published_shapes(logits: Tensor, features: Tensor, arch: str) -> Outputs:
    """The published code drops the axis of a single class, and of a clip with it; ours keeps them."""
    if logits.shape[1] > 1:
        return {"logits": logits, "features": features}
    if arch == "dymn":
        return {"logits": logits.T if len(logits) > 1 else logits.squeeze(), "features": features}
    return {"logits": logits.squeeze(), "features": features if len(features) > 1 else features[0]}


def published_fails(args: dict[str, Any]) -> bool:
    """Where ours does what was meant (docs/parity.md): excitation along frequency, strides beyond two."""
    init = args["init"]
    return ("f" in init.get("se_dims", "c") and not args.get("patch_se")) or max(init.get("strides", [2])) > 2


def dymn_constants(args: dict[str, Any], weights: Outputs) -> Outputs:
    """The buffers that formula weights leave as they are built."""
    if args.get("arch") != "dymn":
        return {}
    built = dymn_encoder(args["init"], 1.0).build().state_dict()
    return {name: built[name] for name in built.keys() - weights.keys()}


@torch.no_grad()
def mn_esc10(args: dict[str, Any], _: Outputs, __: Outputs | None) -> Outputs | None:
    folder, weights = data_folder(), published_weights(args)
    if folder is None or weights is None:
        return None
    model = tagger(args, weights)
    rows = [
        clip_row(model, verified(folder / "esc10" / "audio" / c["file"], c["sha256"])) for c in args["clips"]
    ]
    return {name: torch.stack([row[name] for row in rows]) for name in rows[0]}


def clip_row(model: Tagger, path: Path) -> Outputs:
    wave = torch.from_numpy(audio.load(path, RATE))
    mel = model.frontend(wave[None])
    encoding = model.encoder(mel)
    logits = model.classify(encoding)[0]
    best = logits.topk(5)
    return {
        "samples_44k": torch.tensor(soundfile.info(path).frames),
        "samples_32k": torch.tensor(len(wave)),
        "mel_frames": torch.tensor(mel.shape[2]),
        "wave_rms": wave.double().square().mean().sqrt(),
        "wave_first4000_strided": wave[:4000:10],
        "top5_index": best.indices,
        "top5_logit": best.values,
        "top5_prob": best.values.sigmoid(),
        "logits": logits,
        "features": encoding.summary[0],
        "mel_mean_over_time": mel[0].double().mean(dim=1),
    }


@torch.no_grad()
def mn_hear(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs | None:
    weights = published_weights(args)
    if weights is None:
        return None
    model, wave = tagger(args, weights), inputs["audio"]
    padded = nn.functional.pad(wave, (WINDOW // 2, WINDOW // 2), mode="reflect")
    windows = padded.unfold(1, WINDOW, HOP)[:, : 1 + wave.shape[1] // HOP]
    parts = hear_vectors(model, windows.reshape(-1, WINDOW), args["mode"])
    stamps = parts.view(len(wave), windows.shape[1], -1)
    times = (torch.arange(windows.shape[1]) * 50.0).expand(len(wave), -1)
    return {
        "scene": hear_scene(model, wave, args["mode"]),
        "timestamp_first3": stamps[:, :3],
        "timestamp_last2": stamps[:, -2:],
        "timestamp_mean": stamps.double().mean(dim=1),
        "timestamp_shape": torch.tensor(stamps.shape),
        "times_ms": times,
    }


def hear_scene(model: Tagger, wave: Tensor, mode: list[str]) -> Tensor:
    """Up to 10 s in one pass; longer sound as the mean of windows of 10 s every 2.5 s."""
    if wave.shape[1] <= 10 * RATE:
        return hear_vectors(model, wave, mode)
    padded = nn.functional.pad(wave, (5 * RATE, 5 * RATE), mode="reflect")
    windows = padded.unfold(1, 10 * RATE, 5 * RATE // 2)
    return torch.stack([hear_vectors(model, w, mode) for w in windows.unbind(dim=1)]).mean(dim=0)


def hear_vectors(model: Tagger, wave: Tensor, mode: list[str]) -> Tensor:
    """The parts of a mode, in the fixed order of the published wrapper, for each waveform."""
    encoder: Any = model.encoder
    classifier: Any = model.head
    inner = {f"se{n}": encoder.features[n].block[2].conc_se_layers[0].fc1 for n in (5, 11, 13, 15)}
    outer = {f"b{n}": encoder.features[n] for n in range(16) if f"b{n}" in mode}
    mel = model.frontend(wave)
    with watched({"clf2": classifier.hidden} | inner | outer) as seen:
        encoding = model.encoder(mel)
        logits = model.classify(encoding)
    parts = {"mel_avgs": mel.mean(dim=2), "clf1": encoding.summary}
    parts |= {"clf2": nn.functional.hardswish(seen["clf2"]), "logits": logits}
    parts |= {name: seen[name] for name in inner} | {name: seen[name].mean(dim=(2, 3)) for name in outer}
    return torch.cat([part for name, part in parts.items() if name in mode], dim=1)


RUNNERS = (mn_mel, mn_forward, mn_esc10, mn_hear)
