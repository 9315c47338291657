"""PaSST's recorded cases."""

from typing import Any

import torch
from torch import Tensor, nn

from earmark.encoders import Encoding, PaSST, Patchout
from earmark.encoders.passt import PaSSTEncoder
from earmark.encoders.passt_weights import (
    adapt_channels,
    encoder_state,
    head_state,
    kept_blocks,
    published_state,
    split_positions,
)
from earmark.encoders.patchout import Kept, draw_patchout
from earmark.frontends import LogMel
from earmark.models.heads import LinearHead
from earmark.training.augmentation.spectrogram import spec_augment

Outputs = dict[str, Tensor]


def log_mel(init: dict[str, Any]) -> LogMel:
    fmax = init["fmax"]
    if fmax is None:
        fmax = init["sr"] // 2 - init["fmax_aug_range"] // 2
    return LogMel(
        sample_rate=init["sr"],
        n_fft=init["n_fft"],
        win_length=init["win_length"],
        hop_length=init["hopsize"],
        n_mels=init["n_mels"],
        fmin=init["fmin"],
        fmax=fmax,
        fmin_jitter=init["fmin_aug_range"],
        fmax_jitter=init["fmax_aug_range"],
    )


def passt_mel(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    config = log_mel(args["init"])
    frontend = config.build().train(args["mode"] == "train")
    fmin, fmax = config.fmin, config.fmax
    if frontend.training:
        torch.manual_seed(args["torch_seed"])
        fmin, fmax = frontend.draw_edges()
        torch.manual_seed(args["torch_seed"])
    mel = frontend(inputs["audio"])
    if frontend.training:
        mel = masked(mel, args["init"], config)
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
        outputs |= {"mel_basis": frontend.bank_between(fmin, fmax), "window": frontend.window}
    return outputs


def masked(mel: Tensor, init: dict[str, Any], config: LogMel) -> Tensor:
    return spec_augment(mel, freq_mask=init["freqm"], time_mask=init["timem"], fill=config.fill)


def passt_mel_masks(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    init = args["init"]
    config = log_mel(init)
    frontend = config.build()
    plain = frontend.eval()(inputs["audio"])
    torch.manual_seed(args["torch_seed"])
    features = frontend.train()(inputs["audio"])
    fill, mel = config.fill, masked(features, init, config)
    hit = mel == fill
    freq, time = hit.all(dim=2), hit.all(dim=1)
    untouched = ~(freq[:, :, None] | time[:, None, :])
    return {
        "mel_strided": mel[..., :: args["stride"]],
        "masked_value": torch.tensor([[fill]]),
        "freq_masked": freq,
        "time_masked": time,
        "unmasked_equals_eval": torch.tensor(
            int(torch.allclose(mel[untouched], plain[untouched], atol=1e-6))
        ),
    }


def passt(init: dict[str, Any], code: str = "training") -> PaSST:
    return PaSST(
        n_bands=init["img_size"][0],
        max_frames=init["img_size"][1],
        patch=init.get("patch_size", 16),
        stride=tuple(init["stride"]),
        dim=init["embed_dim"],
        depth=init["depth"],
        heads=init["num_heads"],
        distilled=init["distilled"],
        channels=init.get("in_chans", 1),
        patchout=Patchout(
            time=init.get("s_patchout_t", 0),
            frequency=init.get("s_patchout_f", 0),
            patches=init.get("u_patchout", 0),
        ),
        short_input="random" if code == "training" else "first",
        long_input="cut" if code == "training" else "error",
    )


def plain_head(state: Outputs, classes: int) -> Outputs:
    """Heads of models without a distillation token have the same two layers."""
    return {name: t for name, t in head_state(state, classes).items() if not name.startswith("distillation")}


def married(config: PaSST, classes: int, state: Outputs) -> tuple[PaSSTEncoder, nn.Module]:
    encoder = config.build()
    head = LinearHead().build(config.dim, config.dim, classes)
    encoder.load_state_dict(encoder_state(state, config))
    head.load_state_dict(plain_head(state, classes))
    return encoder, head


def passt_net(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    config = passt(args["init"], args["code"])
    encoder, head = married(config, args["init"]["num_classes"], weights)
    encoder.train(args["mode"] == "train")
    seen: Outputs = {}
    encoder.blocks[0].register_forward_pre_hook(lambda _, args: seen.update(entering=args[0]))
    encoder.blocks[-1].register_forward_hook(lambda _, args, out: seen.update(leaving=out))
    encoder.patch_embed["proj"].register_forward_hook(lambda _, args, out: seen.update(grid=out))
    if args["torch_seed"] is not None:
        torch.manual_seed(args["torch_seed"])
    with torch.no_grad():
        encoding = encoder(inputs["spec"])
        logits = head(encoding)
    entering, leaving = seen["entering"], seen["leaving"]
    outputs = {
        "logits": logits,
        "features": encoding.summary,
        "patch_embed_strided": seen["grid"][:, ::5, ::3, ::9],
        "patch_grid": torch.tensor(seen["grid"].shape),
        "seq_len": torch.tensor(entering.shape[1]),
        "seq_in_first8": entering[:, :8],
        "seq_in_mean": entering.double().mean(dim=1),
        "seq_out_first4": leaving[:, :4],
        "seq_out_last2": leaving[:, -2:],
        "seq_out_mean": leaving.double().mean(dim=1),
    }
    if encoder.training:
        torch.manual_seed(args["torch_seed"])
        outputs |= draws(config, *seen["grid"].shape[2:])
    return outputs | failing_if(published_net_fails(args, config, *seen["grid"].shape[2:]))


def failing_if(fails: bool) -> Outputs:
    """The mark of a recording on which the published code fails where earmark has an answer."""
    return {"raises": torch.tensor(1)} if fails else {}


def published_net_fails(args: dict[str, Any], config: PaSST, rows: int, columns: int) -> bool:
    """Whether it adds a frequency table of another height, or keeps columns that it has cut off."""
    if rows != config.table[0]:
        return True
    if args["mode"] != "train" or columns <= config.table[1] or not config.patchout.time:
        return False
    torch.manual_seed(args["torch_seed"])
    kept = torch.randperm(columns)[: columns - config.patchout.time]
    return int(kept.max()) >= config.table[1]


def draws(config: PaSST, rows: int, columns: int) -> Outputs:
    """Draw once more what the forward pass drew, from the same seed."""
    outputs: Outputs = {}
    longest = config.table[1]
    if columns < longest and config.short_input == "random":
        outputs["time_offset"] = torch.randint(1 + longest - columns, (1,))
    columns = min(columns, longest)
    kept = draw_patchout(rows, columns, config.patchout)
    names = {"kept_time": kept.columns, "kept_freq": kept.rows, "kept_unstructured": kept.patches}
    outputs |= {name: draw for name, draw in names.items() if draw is not None}
    return outputs | {"kept_flat_indices": flat_indices(kept, rows, columns)}


def flat_indices(kept: Kept, rows: int, columns: int) -> Tensor:
    index = torch.arange(rows * columns).view(rows, columns)
    if kept.columns is not None:
        index = index[:, kept.columns]
    if kept.rows is not None:
        index = index[kept.rows]
    return index.flatten() if kept.patches is None else index.flatten()[kept.patches]


def passt_grad(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    encoder, head = married(passt(args["init"]), args["init"]["num_classes"], weights)
    logits = head.eval()(encoder.eval()(inputs["spec"][:, 0]))
    losses = {"bce": nn.functional.binary_cross_entropy_with_logits, "ce": nn.functional.cross_entropy}
    loss = losses[args["loss"]](logits, inputs["target"])
    loss.backward()
    gradients = {name: p.grad for name, p in encoder.named_parameters()}
    gradients = published_state(gradients, {name: p.grad for name, p in head.named_parameters()})
    # The published model has a second classifier that its forward pass never uses: its gradient is zero.
    unused = {key: torch.zeros_like(t) for key, t in weights.items() if key.startswith("head_dist")}
    outputs = {"loss": loss.detach()}
    for key, gradient in (gradients | unused).items():
        outputs[f"grad_norm.{key}"] = gradient.double().norm()
        outputs[f"grad_head.{key}"] = gradient.reshape(-1)[:: max(1, gradient.numel() // 32)]
    return outputs


def passt_load_checkpoint(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    init = args["init"]
    config, classes = passt(init, "inference"), init["num_classes"]
    state = {key[5:]: tensor for key, tensor in inputs.items() if key.startswith("ckpt.")}
    encoder = config.build().eval()
    fitted = encoder_state(state, config)
    if own_classes(args) != classes:  # then the published code ignores what the model has no place for
        fitted = {name: t for name, t in fitted.items() if name in encoder.state_dict()}
    encoder.load_state_dict(fitted)
    carry = LinearHead(carry_distillation=any(key.startswith("head_dist") for key in state))
    head = carry.build(config.dim, config.dim, classes).eval()
    loaded = head_state(state, classes)
    missing = head.load_state_dict(loaded, strict=False).missing_keys
    kept = {name: tensor for name, tensor in head.state_dict().items() if name not in missing}
    with torch.no_grad():
        encoding: Encoding = encoder(inputs["spec"])
        outputs = {"features": encoding.summary} | failing_if(published_load_fails(args, state))
        if not missing:
            outputs["logits"] = head(encoding)
    named = published_state(encoder.state_dict(), kept)
    return outputs | {f"loaded.{key}": tensor for key, tensor in named.items()}


def own_classes(args: dict[str, Any]) -> int:
    """The number of classes that the published code takes a checkpoint to have."""
    name = args["default_cfg"]
    known = {"deit": 1000, "vit": 1000, "openmic": 20, "fsd50k": 200}
    return args["cfg_num_classes"] or next((n for part, n in known.items() if part in name), 527)


def published_load_fails(args: dict[str, Any], state: Outputs) -> bool:
    """Whether classifiers that it drops are missing, or, where it keeps them, any of the model's."""
    init, name = args["init"], args["default_cfg"]
    if own_classes(args) != init["num_classes"]:
        image = "deit" in name or "vit" in name
        dropped = ["head" if image else "head.1"] + ([] if name.startswith("vit") else ["head_dist"])
        return any(f"{layer}.weight" not in state for layer in dropped)
    wanted = ["head.0", "head.1"] + ["head_dist"] * init["distilled"]
    missing = any(f"{layer}.weight" not in state for layer in wanted)
    return missing or len(state["head.1.weight"]) != init["num_classes"]


def passt_resize_pos(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    return split_positions(inputs["pos_embed"], args["num_tokens"], tuple(args["gs_new"]))


def passt_input_conv(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    """Three channels are the published code's own case: it leaves any weight as it is."""
    weight, channels = inputs["weight"], args["in_chans"]
    adapted = weight if channels == 3 else adapt_channels(weight, channels)
    return {"weight": adapted} | failing_if(channels not in (1, 3) and weight.shape[1] != 3)


def passt_lighten(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    depth, cut = args["depth"], args["cut_depth"]
    return {"kept_blocks": torch.tensor(kept_blocks(depth, cut))} | failing_if(depth < cut + 2)


def passt_grids(args: dict[str, Any], inputs: Outputs, _: Outputs | None) -> Outputs:
    rows = []
    for frames, *stride in args["cases"]:
        config = PaSST.model_construct(max_frames=frames, stride=tuple(stride))  # also what PaSST refuses
        rows.append([frames, *stride, *config.table, *config.grid(frames)])
    return {"table": torch.tensor(rows)}


RUNNERS = (
    passt_mel,
    passt_mel_masks,
    passt_net,
    passt_grad,
    passt_load_checkpoint,
    passt_resize_pos,
    passt_input_conv,
    passt_lighten,
    passt_grids,
)
