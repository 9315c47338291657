"""What every encoder promises; a new encoder is tested by being listed."""

from typing import Any

import pytest
import torch
from torch import nn

from earmark.encoders import Encoding, PaSST, Patchout, ResidualCNN

SMALL: dict[str, Any] = {
    "PaSST": PaSST(n_bands=64, max_frames=120, dim=24, depth=2, heads=3),
    "PaSST with one token": PaSST(n_bands=64, max_frames=120, dim=24, depth=1, heads=3, distilled=False),
    "PaSST with patchout": PaSST(
        n_bands=64,
        max_frames=120,
        dim=24,
        depth=1,
        heads=3,
        patchout=Patchout(time=2, frequency=1, patches=3),
    ),
    "ResidualCNN": ResidualCNN(widths=(8, 16), stem=8, blocks=2),
}
ENCODERS = pytest.mark.parametrize("config", SMALL.values(), ids=SMALL.keys())


def features(batch: int = 2, frames: int = 100, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, 64, frames, generator=torch.Generator().manual_seed(seed))


@ENCODERS
def test_it_gives_frames_and_a_summary_of_the_stated_width(config: Any) -> None:
    encoding: Encoding = config.build().eval()(features())
    assert encoding.summary.shape == (2, config.dim)
    assert encoding.frames.shape[0] == 2
    assert encoding.frames.shape[2] == config.frame_dim
    assert bool(torch.isfinite(encoding.summary).all())


@ENCODERS
def test_a_batch_equals_its_clips_one_by_one(config: Any) -> None:
    encoder, batch = config.build().eval(), features(3)
    together = encoder(batch)
    alone = [encoder(clip[None]) for clip in batch]
    torch.testing.assert_close(together.summary, torch.cat([e.summary for e in alone]), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(together.frames, torch.cat([e.frames for e in alone]), atol=1e-5, rtol=1e-5)


@ENCODERS
def test_every_parameter_gets_a_gradient(config: Any) -> None:
    encoder: nn.Module = config.build().train()
    encoding = encoder(features(4))
    (encoding.summary.square().sum() + encoding.frames.square().sum()).backward()
    without = [name for name, p in encoder.named_parameters() if p.grad is None or not bool(p.grad.any())]
    assert not without


@ENCODERS
def test_evaluation_is_deterministic(config: Any) -> None:
    encoder = config.build().eval()
    assert torch.equal(encoder(features()).summary, encoder(features()).summary)


@ENCODERS
def test_its_description_survives_json(config: Any) -> None:
    assert type(config).from_json(config.to_json()) == config


@ENCODERS
def test_its_weights_survive_a_state_dict_bit_for_bit(config: Any) -> None:
    torch.manual_seed(0)
    encoder, twin = config.build().eval(), config.build().eval()
    assert not torch.equal(encoder(features()).summary, twin(features()).summary)
    twin.load_state_dict(encoder.state_dict())
    assert torch.equal(encoder(features()).summary, twin(features()).summary)


@ENCODERS
def test_the_shortest_input_and_silence_are_encoded(config: Any) -> None:
    encoding = config.build().eval()(torch.zeros(1, 64, config.min_frames))
    assert encoding.frames.shape[1] >= 1
    assert bool(torch.isfinite(encoding.frames).all())


@ENCODERS
@torch.no_grad()
def test_frames_lie_on_the_stated_grid(config: Any) -> None:
    """An event in the middle of frame k changes the convolutions' outputs around frame k."""
    encoder, quiet = config.build().eval(), torch.zeros(1, 64, 100)
    k = 4
    loud = quiet.clone()
    loud[..., round(config.first_frame + k * config.frame_stride)] = 3.0
    convolve = (
        encoder.patches if isinstance(config, PaSST) else lambda x: encoder.stages(encoder.stem(x[:, None]))
    )
    difference = (convolve(loud) - convolve(quiet)).abs().sum(dim=(0, 1, 2))
    center = float((difference * torch.arange(len(difference))).sum() / difference.sum())
    assert center == pytest.approx(k, abs=0.5)
