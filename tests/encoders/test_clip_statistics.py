"""Statistics of clips: what they are, and what they do not depend on."""

import numpy as np
import pytest
import torch

from earmark.config import ConfigError
from earmark.encoders import ClipStatistics
from earmark.encoders.clip_statistics import QUANTILES, TURN, quantiles, stretches

CONFIG = ClipStatistics(n_bands=32, cepstra=8, groups=4)
TRACKS = 40


def features(batch: int = 3, frames: int = 100, seed: int = 0) -> torch.Tensor:
    return torch.randn(batch, 32, frames, generator=torch.Generator().manual_seed(seed)).cumsum(2)


def raw(batch: torch.Tensor) -> torch.Tensor:
    """The summary before it is standardized."""
    encoder = CONFIG.build().eval()
    return encoder(batch).summary * (encoder.standardize.running_var + encoder.standardize.eps).sqrt()


def test_the_summary_holds_what_numpy_says_of_each_track() -> None:
    clips = features()
    found, frames = raw(clips).numpy(), CONFIG.build().eval()(clips).frames.numpy()
    expected = [
        frames.mean(1),
        frames.std(1),
        frames.min(1),
        frames.max(1),
        np.diff(frames, axis=1).std(1),
        np.quantile(clips.numpy(), QUANTILES, axis=2).transpose(1, 0, 2).reshape(3, -1),
    ]
    expected = np.concatenate(expected, axis=1)
    np.testing.assert_allclose(found[:, : expected.shape[1]], expected, rtol=1e-4, atol=1e-4)


def test_cepstra_are_the_cosine_transform_of_the_bands() -> None:
    band = torch.arange(32)
    tone = torch.cos(torch.pi / 32 * 3 * (band + 0.5))[None, :, None].expand(1, 32, 10)
    cepstra = CONFIG.build().eval()(tone).frames[0, 0, 32:]
    torch.testing.assert_close(
        cepstra, 16.0 * torch.nn.functional.one_hot(torch.tensor(3), 8), atol=1e-4, rtol=0
    )


def test_a_swing_is_found_in_its_own_stretch_and_group() -> None:
    first, last = stretches()[7]
    turns = (first + last) / 2
    clip = torch.zeros(1, 32, TURN)
    clip[:, 8:16] = torch.cos(2 * torch.pi * turns / TURN * torch.arange(TURN))
    strength = raw(clip)[0, -4 * len(stretches()) :].reshape(4, -1)
    assert divmod(int(strength.argmax()), len(stretches())) == (1, 7)


def test_louder_moves_levels_and_leaves_spreads_and_swings() -> None:
    clips = features()
    change = raw(clips + 2.0) - raw(clips)
    levels = torch.zeros(CONFIG.dim, dtype=torch.bool)
    for first in (0, 2 * TRACKS, 3 * TRACKS):  # mean, least and largest of bands, and of the first cepstrum
        levels[first : first + 33] = True
    levels[5 * TRACKS : 5 * TRACKS + 32 * len(QUANTILES)] = True
    assert bool((change[:, levels] > 1.9).all())
    assert float(change[:, ~levels].abs().max()) < 1e-2


def test_of_a_long_clip_every_turn_counts_in_the_modulation() -> None:
    quiet = torch.zeros(1, 32, 2 * TURN)
    late = quiet.clone()
    late[..., TURN:] = torch.cos(torch.arange(TURN) / 3)
    modulation = slice(-4 * len(stretches()), None)
    assert float((raw(late) - raw(quiet))[:, modulation].max()) > 1


def test_quantiles_are_those_of_torch() -> None:
    for frames in (2, 7, 100):
        clips = features(2, frames)
        expected = torch.quantile(clips, torch.tensor(QUANTILES), dim=2).transpose(0, 1)
        torch.testing.assert_close(quantiles(clips), expected)


def test_a_batch_is_standardized_and_a_single_clip_by_what_came_before() -> None:
    encoder = CONFIG.build().train()
    for seed in range(200):
        summary = encoder(features(16, seed=seed)).summary
    assert float(summary.mean(0).abs().max()) < 1e-4
    alone = encoder(features(1)).summary
    assert torch.equal(alone, encoder.eval()(features(1)).summary)
    spread = torch.cat([encoder(features(16, seed=seed)).summary for seed in range(300, 320)]).std(0)
    assert 0.5 < float(spread.min()) < float(spread.max()) < 2


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"n_bands": 16, "cepstra": 20}, "cepstra is 20 but there are 16 bands"),
        ({"n_bands": 60}, "groups is 16 but there are 60 bands; give a number that divides them"),
    ],
)
def test_statistics_that_cannot_be_are_one_sentence(fields: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ClipStatistics(**fields)
    with pytest.raises(ConfigError, match=words):
        ClipStatistics.from_dict({"kind": "ClipStatistics", **fields})
