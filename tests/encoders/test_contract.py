"""What every encoder promises; a new encoder is tested by being listed."""

from collections.abc import Callable
from typing import Any, NamedTuple, get_args

import pytest
import torch
from torch import Tensor, nn

from earmark.encoders import (
    AST,
    CRNN,
    DBERT,
    MN,
    ClipStatistics,
    CNNTransformer,
    DyMN,
    EfficientNet,
    EncoderConfig,
    Encoding,
    FNet,
    LinearFrames,
    MobileNetV2,
    PaSST,
    Patchout,
    PlainCNN,
    ResidualCNN,
    ResNet,
    Transformer,
)
from earmark.encoders.sequence import frames_first


class Case(NamedTuple):
    """A small encoder.

    Attributes:
        config: its description.
        frames: a usual length of its input.
        local: what shows where in time an event lies, with time as the last axis: the convolutions of a net
            whose attention looks everywhere.  None: the frames themselves.
    """

    config: Any
    frames: int = 100
    local: Callable[[Any, Tensor], Tensor] | None = None


def patches(encoder: Any, features: Tensor) -> Tensor:
    return encoder.patches(features)


def filtered(encoder: Any, features: Tensor) -> Tensor:
    """dBERT's convolutions; its group norm also moves all quiet frames by the same amount, taken off here."""
    found = encoder.conv_features(features).transpose(1, 2)
    return found - found.median(dim=-1, keepdim=True).values


def convolved(encoder: Any, features: Tensor) -> Tensor:
    return encoder.convolve(frames_first(features, encoder.config)).transpose(1, 2)


def embedded(encoder: Any, features: Tensor) -> Tensor:
    return nn.functional.max_pool1d(encoder.embed(features).transpose(1, 2), encoder.config.frame_stride)


def tilted(encoder: Any, features: Tensor) -> Tensor:
    """FNet's layer norm does not see what all bands have in common."""
    return embedded(encoder, features * torch.arange(features.shape[1])[:, None])


SMALL = {
    "AST": Case(
        AST(n_bands=64, max_frames=100, dim=24, depth=2, heads=3, carry_imagenet=True), local=patches
    ),
    "AST without distillation, biases and last norm": Case(
        AST(
            n_bands=64,
            max_frames=100,
            dim=24,
            depth=1,
            heads=3,
            distilled=False,
            pool="class_and_first_patch",
            qkv_bias=False,
            final_norm=False,
            dropout=0.1,
            init="zeros",
        ),
        local=patches,
    ),
    "AST without blocks": Case(
        AST(
            n_bands=64,
            max_frames=100,
            dim=24,
            depth=0,
            heads=3,
            distilled=False,
            pool="class_and_first_patch",
            final_norm=False,
        ),
        local=patches,
    ),
    "AST for any length, with patchout": Case(
        AST(
            n_bands=64,
            max_frames=70,
            dim=24,
            depth=1,
            heads=3,
            other_lengths="resize",
            patchout=Patchout(time=2, patches=3),
        ),
        local=patches,
    ),
    "PlainCNN": Case(PlainCNN(n_bands=64, channels=24)),
    "PlainCNN, flattened and with a shared convolution": Case(
        PlainCNN(n_bands=64, max_frames=100, pool="flatten", shared_conv=True)
    ),
    "CRNN": Case(CRNN(n_bands=16, dim=32, blocks=4, pools=2), local=convolved),
    "CRNN without batch norm, one pool, a tall kernel": Case(
        CRNN(n_bands=8, dim=8, blocks=1, pools=1, kernel=(5, 3), batch_norm=False), local=convolved
    ),
    "CNNTransformer": Case(CNNTransformer(n_bands=16, dim=32, blocks=3, pools=3, heads=4), local=convolved),
    "CNNTransformer with a sinusoid on the spectrogram": Case(
        CNNTransformer(
            n_bands=16, dim=32, blocks=2, pools=2, heads=4, positions="spectrogram", position_frames=50
        ),
        local=convolved,
    ),
    "Transformer": Case(Transformer(n_bands=16, dim=24, heads=3), local=embedded),
    "LinearFrames": Case(LinearFrames(n_bands=16, dim=12, depth=2)),
    "FNet": Case(FNet(n_bands=16, dim=12, hidden=20, depth=2), local=tilted),
    "FNet, alternating": Case(
        FNet(n_bands=16, dim=12, hidden=20, depth=2, mixing="alternating"), local=tilted
    ),
    "MN": Case(MN(n_bands=64, width=0.1), frames=200),
    "MN excited along all axes, dilated": Case(
        MN(
            n_bands=64,
            width=0.1,
            excitation=("channel", "time", "frequency"),
            excitation_merge="mean",
            n_frames=200,
            dilated=True,
        ),
        frames=200,
    ),
    "DyMN": Case(DyMN(n_bands=64, width=0.1), frames=200),
    "DyMN with plain units": Case(DyMN(n_bands=64, width=0.1, dynamic="replace_se"), frames=200),
    "DBERT": Case(
        DBERT(
            convs=((12, 5, 2), (12, 3, 2)),
            width=24,
            depth=2,
            heads=3,
            position_kernel=8,
            position_groups=4,
            summary_dim=10,
        ),
        local=filtered,
    ),
    "DBERT without projections, an odd kernel, folded": Case(
        DBERT(
            convs=((24, 4, 2), (24, 2, 2)),
            width=24,
            depth=1,
            heads=2,
            position_kernel=7,
            position_groups=3,
            weight_norm=False,
        ),
        local=filtered,
    ),
    "EfficientNet": Case(EfficientNet(n_bands=32, b=0), frames=224),
    "ResNet": Case(ResNet(n_bands=64, blocks=(1, 2, 1, 1), width=8), frames=224),
    "MobileNetV2": Case(MobileNetV2(n_bands=32), frames=224),
    "PaSST": Case(PaSST(n_bands=64, max_frames=120, dim=24, depth=2, heads=3), local=patches),
    "PaSST with one token": Case(
        PaSST(n_bands=64, max_frames=120, dim=24, depth=1, heads=3, distilled=False), local=patches
    ),
    "PaSST with patchout": Case(
        PaSST(
            n_bands=64,
            max_frames=120,
            dim=24,
            depth=1,
            heads=3,
            patchout=Patchout(time=2, frequency=1, patches=3),
        ),
        local=patches,
    ),
    "ClipStatistics": Case(ClipStatistics(n_bands=32, cepstra=8, groups=4)),
    "ResidualCNN": Case(ResidualCNN(widths=(8, 16), stem=8, blocks=2)),
    "ResidualCNN with a short first stage": Case(
        ResidualCNN(widths=(8, 16), stem=8, blocks=2, first_stride=2)
    ),
}
ENCODERS = pytest.mark.parametrize("case", SMALL.values(), ids=SMALL.keys())


def features(case: Case, batch: int = 2, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(batch, case.config.n_bands, case.frames, generator=generator)


def test_every_encoder_is_listed() -> None:
    union = get_args(get_args(EncoderConfig)[0])
    assert {type(case.config) for case in SMALL.values()} == set(union)


@ENCODERS
def test_it_gives_frames_and_a_summary_of_the_stated_width(case: Case) -> None:
    encoding: Encoding = case.config.build().eval()(features(case))
    assert encoding.summary.shape == (2, case.config.dim)
    assert encoding.frames.shape[0] == 2
    assert encoding.frames.shape[2] == case.config.frame_dim
    assert bool(torch.isfinite(encoding.summary).all())


@ENCODERS
@torch.no_grad()
def test_every_layer_gives_what_is_stated(case: Case) -> None:
    encoder = case.config.build().eval()
    layers = case.config.layers
    assert layers or case.config.depth == 0
    for index, layer in enumerate(layers):
        encoding = encoder(features(case), index)
        assert encoding.summary.shape == (2, layer.dim)
        assert encoding.frames.shape[2] == layer.frame_dim
        assert encoding.frames.shape[1] == pytest.approx(case.frames / layer.frame_stride, abs=4)
        again = encoder(features(case), index - len(layers))
        assert torch.equal(encoding.frames, again.frames)
    for wrong in (len(layers), -len(layers) - 1):
        with pytest.raises(ValueError, match="layer is"):
            encoder(features(case), wrong)


@ENCODERS
def test_a_batch_equals_its_clips_one_by_one(case: Case) -> None:
    encoder, batch = case.config.build().eval(), features(case, 3)
    together = encoder(batch)
    alone = [encoder(clip[None]) for clip in batch]
    torch.testing.assert_close(together.summary, torch.cat([e.summary for e in alone]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together.frames, torch.cat([e.frames for e in alone]), atol=1e-5, rtol=1e-5)


@ENCODERS
def test_every_parameter_gets_a_gradient(case: Case) -> None:
    torch.manual_seed(0)
    encoder: nn.Module = case.config.build().train()
    encoding = encoder(features(case, 4).requires_grad_())  # where nothing is learned, the input gets one
    (encoding.summary.square().sum() + encoding.frames.square().sum()).backward()
    without = [name for name, p in encoder.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert not without


@ENCODERS
def test_another_number_of_bands_is_a_sentence_with_both_numbers(case: Case) -> None:
    taken = case.config.n_bands
    words = rf"got {taken + 1} bands x {case.frames} .*takes {taken} band"
    with pytest.raises(ValueError, match=words):
        case.config.build().eval()(torch.zeros(1, taken + 1, case.frames))


@ENCODERS
def test_evaluation_is_deterministic(case: Case) -> None:
    encoder = case.config.build().eval()
    assert torch.equal(encoder(features(case)).summary, encoder(features(case)).summary)


@ENCODERS
def test_its_description_survives_json(case: Case) -> None:
    assert type(case.config).from_json(case.config.to_json()) == case.config


@ENCODERS
def test_its_weights_survive_a_state_dict_bit_for_bit(case: Case) -> None:
    torch.manual_seed(0)
    encoder, twin = case.config.build().train(), case.config.build().eval()
    encoder(features(case, 4))  # statistics of batches are learned, too
    encoder.eval()
    assert not torch.equal(encoder(features(case)).summary, twin(features(case)).summary)
    twin.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder(features(case)).summary, twin(features(case)).summary)


@ENCODERS
def test_all_that_it_needs_is_in_its_state_dict(case: Case) -> None:
    encoder = case.config.build().eval()
    with torch.device("meta"):  # as a model is built that is read from a file
        hollow = case.config.build().eval()
    hollow.load_state_dict(encoder.state_dict(), assign=True)
    assert torch.equal(encoder(features(case)).summary, hollow(features(case)).summary)


@ENCODERS
def test_the_shortest_input_and_silence_are_encoded(case: Case) -> None:
    encoding = case.config.build().eval()(torch.zeros(1, case.config.n_bands, case.config.min_frames))
    assert encoding.frames.shape[1] >= 1
    assert bool(torch.isfinite(encoding.frames).all())


@ENCODERS
@torch.no_grad()
def test_frames_lie_on_the_stated_grid(case: Case) -> None:
    """An event in the middle of frame k changes what is local around frame k."""
    torch.manual_seed(0)
    encoder = case.config.build().eval()
    local = case.local or (lambda encoder, features: encoder(features).frames.transpose(1, 2))
    quiet = torch.zeros(1, case.config.n_bands, case.frames)
    k = 4
    loud = quiet.clone()
    loud[..., round(case.config.first_frame + k * case.config.frame_stride)] = 3.0
    difference = (local(encoder, loud) - local(encoder, quiet)).abs()
    difference = difference.sum(dim=tuple(range(difference.ndim - 1)))
    center = float((difference * torch.arange(len(difference))).sum() / difference.sum())
    assert center == pytest.approx(k, abs=0.5)


@ENCODERS
def test_a_summary_alone_is_the_summary_of_the_whole(case: Case) -> None:
    for training in (False, True):
        encoder = case.config.build().train(training)
        shortcut = getattr(encoder, "summarize", lambda batch, encoder=encoder: encoder(batch).summary)
        summaries: list[Tensor] = []
        for way in (shortcut, encoder):
            torch.manual_seed(0)
            found = way(features(case, 4))
            summaries.append(found.summary if isinstance(found, Encoding) else found)
        torch.testing.assert_close(*summaries, atol=1e-5, rtol=1e-5)
