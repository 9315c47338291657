"""Masked patches: what is heard, what is asked, and a step."""

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import shared_masked
import torch
from tiny_dbert import ALONE, crops
from tiny_patches import AST_TINY, CLUSTERS, CONTENT, FRONTEND, PASST, Terms, everything, learner

from earmark.config import ConfigError
from earmark.encoders import AST, ClipStatistics, PaSST
from earmark.models import Tagger, TaggerConfig
from earmark.training.pretraining import Collapse, Crops
from earmark.training.pretraining.patches import MaskedPatches, PatchClusters
from earmark.training.pretraining.patches.guesser import patch_guesser
from earmark.training.pretraining.patches.hiding import cut, heard_patches, unheard
from earmark.training.pretraining.patches.learner import MaskedLearner
from earmark.training.pretraining.patches.targets import standardized
from earmark.training.settings import TrainingError

CONFIGS = [PASST, AST_TINY, PASST.replace(stride=(3, 2))]
FRAMES = 30


def steps(one: MaskedLearner, first: int, last: int, part: int | None = None, clips: int = 5) -> list[float]:
    """The losses of steps that learn."""
    outcomes = [
        one.step(crops(number, clips=clips, shortest=0.5), 0, number, part) for number in range(first, last)
    ]
    assert all(outcome.applied for outcome in outcomes)
    return [outcome.loss for outcome in outcomes if outcome.loss is not None]


def unheard_cells(heard: torch.Tensor, config: PaSST | AST) -> torch.Tensor:
    """Which cells of spectrograms no heard patch covers, patch by patch."""
    free = torch.ones(len(heard), config.n_bands, FRAMES, dtype=torch.bool)
    columns = config.grid(FRAMES)[1]
    for clip, patches in enumerate(heard.tolist()):
        for patch in patches:
            band, frame = patch // columns * config.stride[0], patch % columns * config.stride[1]
            free[clip, band : band + config.patch, frame : frame + config.patch] = False
    return free


@pytest.mark.parametrize("config", CONFIGS, ids=["PaSST", "AST", "PaSST that overlaps both ways"])
def test_what_is_hidden_never_reaches_the_network_but_changes_what_is_asked(config: PaSST | AST) -> None:
    one = learner(config=config)
    guesser = one.pupil.guesser.eval()
    heard = torch.from_numpy(heard_patches(CONTENT, config.grid(FRAMES), 0, 0, [0, 1, 2]))
    features = torch.randn(3, config.n_bands, FRAMES)
    free = unheard_cells(heard, config)
    changed = torch.where(free, features + torch.randn_like(features), features)
    said, again = guesser(features, heard), guesser(changed, heard)
    assert torch.equal(said.patches, again.patches)
    assert torch.equal(said.summary, again.summary)
    counted = unheard(heard, torch.ones(3, FRAMES, dtype=torch.bool), config)
    assert torch.equal(counted, cut(free.float(), config) > 0)
    assert counted.any(dim=2).float().mean() > 0.4
    everywhere = torch.ones_like(counted)
    before, after = (standardized(cut(one, config), everywhere, CONTENT) for one in (features, changed))
    assert bool((before != after)[counted].all())
    other = guesser(torch.where(free, features, features + 1), heard)
    assert not torch.equal(other.patches, said.patches)


@pytest.mark.parametrize("config", [PASST, AST_TINY], ids=["PaSST", "AST"])
def test_with_all_patches_heard_the_encoder_is_the_one_that_users_get(config: PaSST | AST) -> None:
    guesser = learner(config=config).pupil.guesser.eval()
    features = torch.randn(2, config.n_bands, FRAMES)
    rows, columns = config.grid(FRAMES)
    summary = guesser(features, torch.arange(rows * columns).expand(2, -1)).summary
    torch.testing.assert_close(summary, guesser.encoder(features).summary)


@pytest.mark.parametrize(("how", "axes"), [("patch", (2,)), ("clip", (1, 2))])
def test_targets_have_mean_0_and_deviation_1(how: str, axes: tuple[int, ...]) -> None:
    patches = torch.randn(3, 7, 16) * torch.rand(3, 7, 1).add(0.5) + torch.randn(3, 7, 1) * 5
    sounding = torch.rand(3, 7, 16) < 0.8
    found = standardized(patches, sounding, CONTENT.replace(standardize=how))
    count = sounding.sum(axes)
    assert not found[~sounding].any()
    assert float((found.sum(axes) / count).abs().max()) < 1e-5
    torch.testing.assert_close(
        found.square().sum(axes) / count, torch.ones_like(count, dtype=torch.float32), atol=1e-2, rtol=0
    )


def test_silence_has_nothing_to_tell() -> None:
    still = standardized(torch.full((1, 2, 9), -0.9), torch.ones(1, 2, 9, dtype=torch.bool), CONTENT)
    assert float(still.abs().max()) < 1e-4


def test_as_many_patches_are_heard_of_each_clip_and_a_draw_belongs_to_its_place() -> None:
    config = MaskedPatches(hidden=0.7, block=(2, 3))
    drawn = heard_patches(config, (4, 11), 5, 2, range(6))
    assert drawn.shape == (6, config.kept(44))
    assert all(len(set(row)) == len(row) for row in drawn.tolist())
    assert np.array_equal(heard_patches(config, (4, 11), 5, 2, [4]), drawn[4:5])
    assert not np.array_equal(heard_patches(config, (4, 11), 5, 3, [4]), drawn[4:5])
    assert len(np.unique(drawn, axis=0)) == 6


def test_patches_are_hidden_in_blocks() -> None:
    """Of two neighbors in time both are heard, or none, more often than by single draws."""

    def agreement(block: tuple[int, int]) -> float:
        drawn = heard_patches(MaskedPatches(hidden=0.5, block=block), (4, 24), 0, 0, range(50))
        heard = np.zeros((50, 4 * 24), bool)
        np.put_along_axis(heard, drawn, values=True, axis=1)
        grid = heard.reshape(50, 4, 24)
        return float((grid[..., 1:] == grid[..., :-1]).mean())

    assert agreement((1, 1)) == pytest.approx(0.5, abs=0.03)
    assert agreement((1, 4)) == pytest.approx(7 / 8, abs=0.03)


@pytest.mark.parametrize("objective", [CONTENT, CLUSTERS], ids=["content", "clusters"])
@pytest.mark.parametrize("config", [PASST, AST_TINY], ids=["PaSST", "AST with dropout"])
@pytest.mark.parametrize("part", [1, 2, 3])
def test_a_batch_in_parts_is_the_same_step(objective: MaskedPatches, config: PaSST | AST, part: int) -> None:
    whole, parted = learner(objective, config), learner(objective, config)
    assert steps(parted, 0, 4, part) == pytest.approx(steps(whole, 0, 4), rel=1e-4)
    assert parted.measures == pytest.approx(whole.measures, rel=1e-3, abs=1e-5)
    other = everything(parted)
    for name, tensor in everything(whole).items():
        torch.testing.assert_close(other[name], tensor, atol=1e-4, rtol=1e-3)


@pytest.mark.slow
def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    """A batch of one clip leaves a process without any."""
    out = tmp_path / "two.pt"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, *launcher, str(shared_masked.__file__), str(out)],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    one, losses = shared_masked.pretrained(ALONE)
    two = torch.load(out, weights_only=True)
    assert len(losses) == 4
    assert two["losses"] == pytest.approx(losses, rel=1e-4)
    assert two["measures"] == pytest.approx(one.measures, rel=1e-3, abs=1e-5)
    for name, tensor in everything(one).items():
        torch.testing.assert_close(two["state"][name], tensor, atol=2e-4, rtol=1e-3)


@pytest.mark.parametrize("objective", [CONTENT, CLUSTERS], ids=["content", "clusters"])
def test_learning_lowers_the_loss(objective: MaskedPatches) -> None:
    one = learner(objective)
    losses = steps(one, 0, 80, clips=8)
    first, last = np.mean(losses[:5]), np.mean(losses[-5:])
    assert last < 0.9 * first
    if objective.clusters is None:
        assert one.measures["explained_patches"] > 0.1
    else:
        assert one.measures["ce_share_patches"] < 0.95
        assert one.measures["accuracy_patches"] > 1.5 / 8
        assert 1 < one.measures["perplexity_patches"] <= 8
    assert 0.4 < one.measures["coverage"] < 0.8
    assert one.measures["deviation_embedding"] > 0


def test_nothing_is_learned_while_patches_are_collected() -> None:
    one = learner(CLUSTERS)
    before = everything(one)
    assert [one.step(crops(number), 0, number, None).loss for number in range(2)] == [None, None]
    after = everything(one)
    assert all(torch.equal(after[name], t) for name, t in before.items() if "codebook" not in name)
    assert after["codebook.centroids"].shape == (8, 16)
    assert one.step(crops(2), 0, 2, None).loss == pytest.approx(math.log(8), rel=0.2)


def test_what_is_explained_is_0_for_the_best_constant_and_1_for_the_truth() -> None:
    one = learner()
    batch = crops(0)
    task = one.task_of(one.features(batch, 0), batch, 0)
    counts, _ = one._counts(task, 1)
    values = task.targets[task.counted]
    for said, explained in ((values.mean(), 0.0), (values, 1.0)):
        loss = float((said - values).square().sum()) / counts.told
        measures = one._measures(loss, 0.0, torch.zeros(0), counts)
        assert measures["explained_patches"] == pytest.approx(explained, abs=1e-5)


def test_silence_behind_a_short_clip_does_not_count() -> None:
    batch = crops(0, clips=4)
    short = batch._replace(lengths=torch.full_like(batch.lengths, batch.waveform.shape[1] // 2))
    one = learner()
    task = one.task_of(one.features(short, 0), short, 0)
    columns = PASST.grid(FRAMES)[1]
    counted = task.counted.unflatten(1, (-1, columns)).any(dim=3)
    assert counted[:, :, : columns // 2 - 1].any()
    assert not counted[:, :, columns // 2 + 1 :].any()


def test_a_step_that_is_not_finite_changes_nothing() -> None:
    one = learner()
    steps(one, 0, 2)
    before = everything(one)
    batch = crops(2)
    broken: Crops = batch._replace(waveform=torch.full_like(batch.waveform, torch.nan))
    outcome = one.step(broken, 0, 2, None)
    assert not outcome.applied
    assert math.isnan(outcome.loss or 0)
    with torch.no_grad():
        one.pupil.guesser.told.bias[0] = torch.inf
    assert not one.step(batch, 0, 2, None).applied
    with torch.no_grad():
        one.pupil.guesser.told.bias[0] = before["decoder.told.bias"][0]
    after = everything(one)
    assert all(torch.equal(after[name], tensor) for name, tensor in before.items())
    assert one.step(batch, 0, 3, None).applied


def test_equal_embeddings_of_all_clips_end_a_run_with_a_sentence() -> None:
    one = learner(CONTENT.replace(collapse=Collapse(deviation=0.9, iterations=2)))
    steps(one, 0, 1)
    with torch.no_grad():
        one.pupil.guesser.encoder.norm.weight.zero_()
    with pytest.raises(TrainingError, match=r"deviation of embedding was below .* smaller rate"):
        steps(one, 1, 4)


def test_half_precision_learns_too() -> None:
    one = learner(terms=Terms(precision="bf16"))
    assert steps(one, 0, 3)[-1] == pytest.approx(steps(learner(), 0, 3)[-1], rel=0.05)


def test_what_cannot_be_is_refused_with_a_sentence() -> None:
    with pytest.raises(ConfigError, match="decoder_dim must be a multiple of decoder_heads"):
        MaskedPatches(decoder_dim=30, decoder_heads=4)
    with pytest.raises(ConfigError, match="count"):
        PatchClusters(count=1)
    config = TaggerConfig(frontend=FRONTEND, encoder=ClipStatistics(n_bands=16, cepstra=8), head=None)
    with pytest.raises(ConfigError, match="masked patches are for PaSST and AST"):
        patch_guesser(Tagger(config), CONTENT)
