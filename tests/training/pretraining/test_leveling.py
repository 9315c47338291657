"""Vectors that are leveled, each by itself, before they are standardized and clustered."""

import pytest
import torch
from tiny_dbert import OBJECTIVE, Terms, crops, learner

from earmark.config import ConfigError
from earmark.training.pretraining import Standardize
from earmark.training.pretraining.features import LOCATIONS
from earmark.training.pretraining.health import perplexity
from earmark.training.pretraining.seeding import k_means, k_means_plus_plus
from earmark.training.pretraining.standardize import RunningMoments

LEVELED = OBJECTIVE.replace(standardize=Standardize(each=True))


def test_every_leveled_vector_has_mean_zero_and_variance_one_and_the_moments_are_theirs() -> None:
    heard = learner(Terms(LEVELED)).hear(crops(0, shortest=0.5), None)
    plain = learner(Terms(OBJECTIVE)).hear(crops(0, shortest=0.5), None)
    assert heard is not None
    assert plain is not None
    for location in LOCATIONS:
        vectors = getattr(heard.features, location)
        torch.testing.assert_close(vectors.mean(dim=-1), torch.zeros(vectors.shape[:-1]), atol=1e-5, rtol=0)
        assert bool((vectors.var(dim=-1, correction=0) <= 1 + 1e-4).all())
        before = getattr(plain.features, location)
        expected = torch.nn.functional.layer_norm(before, before.shape[-1:])
        torch.testing.assert_close(vectors, expected, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(heard.moments["summary"].mean, heard.features.summary.mean(dim=0))


def test_frames_that_differ_in_loudness_most_share_more_clusters_when_leveled() -> None:
    draw = torch.Generator().manual_seed(0)
    loudness = torch.randn(3000, 1, generator=draw).mul(1.5).exp()  # heavy tails, as of sounds
    frames = loudness * torch.randn(3000, 12, generator=draw).relu()
    used = []
    for vectors in (frames, torch.nn.functional.layer_norm(frames, (12,))):
        moments = RunningMoments(12)
        moments.update(moments.of_batch(moments.sums(vectors)), 1.0)
        ready = moments(vectors)
        begun = k_means_plus_plus(ready, 32, torch.Generator().manual_seed(0))
        clusters = torch.cdist(ready, k_means(ready, begun, 5)).argmin(dim=1)
        used.append(float(perplexity(clusters.bincount(minlength=32).float())))
    plain, leveled = used
    assert leveled > 25 > 2 * plain


def test_the_game_does_not_go_with_leveling() -> None:
    with pytest.raises(ConfigError, match=r"standardize.each takes away .* real_vs_centroid to 0"):
        LEVELED.replace(real_vs_centroid=0.1)
