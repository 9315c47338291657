"""An iteration of pretraining, and what it remembers."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import shared_pretraining
import torch
from tiny_dbert import ALONE, ENCODER, OBJECTIVE, SEEDING, Terms, crops, learner

from earmark.config import ConfigError
from earmark.encoders.clusters import Clusters
from earmark.training.pretraining import (
    LITERAL,
    ClusterGuessing,
    Collapse,
    Generation,
    PretrainLearner,
    Reassign,
    Standardize,
)
from earmark.training.pretraining.game import unmasked_centroids
from earmark.training.pretraining.guesser import Centroids
from earmark.training.settings import TrainingError

STILL = ENCODER.replace(dropout=0.0)
SEVERAL = ENCODER.replace(clusters=Clusters(summary=(4,), conv=(5, 7), output=(6, 3)))
EVERYTHING = OBJECTIVE.replace(
    real_vs_centroid=0.3,
    shown_weight=0.1,
    every=2,
    generation=Generation(reassign=Reassign(every=3, below=20.0)),
)


def run(
    one: PretrainLearner, first: int, last: int, shortest: float = 0.5, part: int | None = None
) -> float | None:
    """The loss of the last step."""
    outcome = None
    for number in range(first, last):
        outcome = one.step(crops(number, shortest=shortest), 0, number, part)
        assert outcome.applied
    return outcome.loss if outcome else None


def everything(one: PretrainLearner) -> dict[str, torch.Tensor]:
    weights = {f"model.{name}": t for name, t in one.model.state_dict().items()}
    return {name: tensor.detach().clone() for name, tensor in (weights | one.state()).items()}


def assert_close(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor], atol: float) -> None:
    assert found.keys() == expected.keys()
    far = [n for n, t in expected.items() if not torch.allclose(found[n], t, atol=atol, rtol=1e-3)]
    assert not far


def test_centroids_begin_after_the_seeding_batches_and_the_student_learns_at_every_fifth_iteration() -> None:
    one = learner()
    begun = {name: tensor.clone() for name, tensor in one.model.state_dict().items()}
    updates = []
    for number in range(SEEDING.batches + 11):
        one.step(crops(number), 0, number, None)
        assert one.targets.seeded == (number >= SEEDING.batches - 1)
        updates.append(one.updates)
    assert updates[: SEEDING.batches + 4] == [0] * (SEEDING.batches + 4)
    assert updates[SEEDING.batches + 4 :] == [1] * 5 + [2] * 2
    assert any(not torch.equal(begun[name], t) for name, t in one.model.state_dict().items())


@pytest.mark.parametrize("objective", [OBJECTIVE, EVERYTHING, LITERAL.replace(seeding=SEEDING)])
def test_everything_that_learns_gets_a_gradient(objective: ClusterGuessing) -> None:
    one = learner(Terms(objective), SEVERAL)
    run(one, 0, SEEDING.batches + objective.every)
    for name, parameter in one.student.guesser.named_parameters():
        assert parameter.grad is not None, name
        assert bool(parameter.grad.any()), name
    for name, parameter in one.targets.generators.named_parameters():
        assert parameter.grad is not None, name


def test_measures_say_how_healthy_the_features_are() -> None:
    one = learner(config=SEVERAL)
    run(one, 0, SEEDING.batches + 5)
    names = {"conv1", "conv2", "summary", "output1", "output2"}
    for what in ("perplexity", "ce", "ce_share", "accuracy", "centroid_norm"):
        assert {key for key in one.measures if key.rpartition("_")[0] == what} == {
            f"{what}_{n}" for n in names
        }
    assert all(math.isfinite(value) for value in one.measures.values())
    assert 0 < one.measures["coverage"] < 1
    assert 1 <= one.measures["perplexity_summary"] <= 4.001
    assert one.measures["deviation_output"] > 0
    run(one, SEEDING.batches + 5, SEEDING.batches + 6)
    assert "coverage" not in one.measures  # the student learned nothing at this step


@pytest.mark.parametrize("objective", [EVERYTHING, LITERAL.replace(seeding=SEEDING, every=2)])
@pytest.mark.parametrize("cut", [3, SEEDING.batches, SEEDING.batches + 5])
def test_a_run_that_goes_on_from_a_state_ends_to_the_bit_where_one_without_a_stop_does(
    objective: ClusterGuessing, cut: int
) -> None:
    terms, last = Terms(objective), SEEDING.batches + 9
    straight = learner(terms, SEVERAL)
    run(straight, 0, last)
    before = learner(terms, SEVERAL)
    run(before, 0, cut)
    kept = everything(before)
    after = learner(Terms(objective, seed=5), SEVERAL)
    after.terms, after.targets.seed, after.targets.collection.seed = terms, 0, 0
    after.model.load_state_dict({k[6:]: t for k, t in kept.items() if k.startswith("model.")})
    after.restore({name: t for name, t in kept.items() if not name.startswith("model.")})
    after.optimizer.load_state_dict(before.optimizer.state_dict())
    run(after, cut, last)
    found, expected = everything(after), everything(straight)
    assert found.keys() == expected.keys()
    for name, tensor in expected.items():
        assert torch.equal(found[name], tensor), name
    assert after.measures == straight.measures


@pytest.mark.parametrize("objective", [OBJECTIVE.replace(every=2), EVERYTHING])
def test_micro_batches_compute_what_the_whole_batch_does(objective: ClusterGuessing) -> None:
    whole, parted = (learner(Terms(objective), SEVERAL) for _ in range(2))
    last = SEEDING.batches + 2
    losses = [run(whole, 0, last), run(parted, 0, last, part=3)]
    for name in ("gradient_norm", "ce_summary", "ce_output1", "accuracy_conv1", "coverage"):
        assert parted.measures[name] == pytest.approx(whole.measures[name], rel=1e-4), name
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert_close(everything(parted), everything(whole), atol=2e-4)


def test_padding_is_neither_clustered_nor_guessed() -> None:
    """The group norm hears padding as the published one does, so only the clusterings can be compared."""
    one = learner(config=STILL)
    run(one, 0, SEEDING.batches, shortest=1.0)
    heard = one.hear(crops(40, shortest=0.3), None)
    assert heard is not None
    assert heard.sound.valid is not None
    valid = heard.sound.valid
    generated = one.targets.find(heard, crops(40, shortest=0.3), (0, 40))
    assert float(generated.counts["output"].sum()) == float(valid.sum()) < valid.numel()
    assert float(heard.counts["conv"]) == float(valid.sum())
    task = one.task_of(heard, generated, crops(40, shortest=0.3), (0, 40))
    assert not bool((task.hidden & ~valid).any())
    assert torch.equal(task.counted, valid)


def test_features_that_are_not_finite_change_nothing() -> None:
    one = learner()
    run(one, 0, SEEDING.batches + 4)
    before = everything(one)
    broken = crops(90)
    broken.waveform[2, 100] = math.nan
    outcome = one.step(broken, 0, 90, None)
    assert not outcome.applied
    assert outcome.loss is not None
    assert math.isnan(outcome.loss)
    assert all(torch.equal(t, before[name]) for name, t in everything(one).items())
    run(one, 91, 92)


def test_a_gradient_that_is_not_finite_leaves_student_and_teacher_as_they_are() -> None:
    one = learner()
    run(one, 0, SEEDING.batches + 4)
    before = everything(one)
    with torch.no_grad():
        one.student.guesser.encoder.summary_proj.weight[0, 0] = math.inf
    broken = everything(one)
    outcome = one.step(crops(50), 0, 50, None)
    assert not outcome.applied
    for name, tensor in everything(one).items():
        if name.startswith("model."):
            assert torch.equal(tensor, broken[name]), name
        if name.startswith("teacher."):
            assert torch.equal(tensor, before[name]), name
    assert one.updates == 0


def test_a_long_gradient_is_shortened_before_it_is_applied() -> None:
    tight, wide = learner(Terms(clip_norm=1e-3), STILL), learner(Terms(clip_norm=None), STILL)
    for one in (tight, wide):
        run(one, 0, SEEDING.batches + 5)
    norms = [
        float(
            torch.nn.utils.get_total_norm(
                [p.grad for p in one.student.guesser.parameters() if p.grad is not None]
            )
        )
        for one in (tight, wide)
    ]
    assert norms[0] == pytest.approx(1e-3, rel=1e-3)
    assert norms[1] == pytest.approx(wide.measures["gradient_norm"], rel=1e-5)
    assert tight.measures["gradient_norm"] == pytest.approx(norms[1], rel=1e-5)


def test_the_gradient_of_the_convolutions_is_a_tenth() -> None:
    norms = {}
    for factor in (0.1, 1.0):
        one = learner(Terms(OBJECTIVE.replace(conv_gradient=factor), clip_norm=None), STILL)
        run(one, 0, SEEDING.batches + 5)
        encoder = one.student.guesser.encoder
        norms[factor] = [
            torch.cat([p.grad.flatten() for p in part.parameters() if p.grad is not None]).norm()
            for part in (encoder.conv_extractor1, encoder.transformer_layers)
        ]
    torch.testing.assert_close(norms[0.1][0] * 10, norms[1.0][0], rtol=1e-3, atol=0)
    torch.testing.assert_close(norms[0.1][1], norms[1.0][1], rtol=1e-4, atol=0)


def test_in_bfloat16_it_computes_nearly_the_same() -> None:
    exact, rough = (learner(Terms(precision=p), STILL) for p in ("fp32", "bf16"))
    losses: list[float | None] = []
    for one in (exact, rough):
        losses.append(run(one, 0, SEEDING.batches + 5))
        assert all(t.dtype == torch.float32 for t in one.targets.generators.state_dict().values())
    assert losses[1] != losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=0.1)


def test_the_game_teaches_the_student_to_tell_centroids_from_real_frames() -> None:
    one = learner(Terms(OBJECTIVE.replace(real_vs_centroid=2.0, every=1)), STILL, lr=5e-3)
    run(one, 0, SEEDING.batches)
    losses = []
    for number in range(SEEDING.batches, SEEDING.batches + 21):
        if number % 10 == SEEDING.batches % 10:
            heard = one.hear(crops(99), None)
            assert heard is not None
            centroids = Centroids(one.targets.output_centroids(), heard.moments["summary"].mean)
            guesser = one.student.guesser
            assert guesser.generated is not None
            said = guesser.said_of(centroids)[0].detach()
            losses.append(float(unmasked_centroids(said, guesser.generated[0].detach(), 0.1)))
        run(one, number, number + 1)
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < losses[0] / 2


def test_collapse_ends_a_run_with_a_sentence() -> None:
    one = learner(Terms(OBJECTIVE.replace(collapse=Collapse(perplexity=0.99, iterations=3))))
    run(one, 0, SEEDING.batches + 2)
    with pytest.raises(TrainingError, match="3 iterations more than not the perplexity"):
        one.step(crops(99), 0, 99, None)


@pytest.mark.parametrize(
    "config",
    [ENCODER.replace(clusters=None), ENCODER.replace(layer=1)],
    ids=["no clusters", "cut off"],
)
def test_an_encoder_without_clusters_to_guess_is_refused(config: object) -> None:
    with pytest.raises(ConfigError, match="needs a dBERT with clusters"):
        learner(config=config)  # pyright: ignore[reportArgumentType] (a description)


def test_norms_biases_embeddings_and_codebooks_are_not_decayed() -> None:
    one = learner(Terms(EVERYTHING), SEVERAL)
    names = {id(p): name for name, p in one.student.guesser.named_parameters()}
    decayed = {names[id(p)] for g in one.optimizer.param_groups if g["weight_decay"] for p in g["params"]}
    others = {names[id(p)] for g in one.optimizer.param_groups if not g["weight_decay"] for p in g["params"]}
    assert decayed | others == set(names.values())
    assert not [name for name in decayed if "norm" in name or "bias" in name or "codebook" in name]
    assert not [name for name in decayed if "embedder" in name or "masker" in name]
    for name in ("encoder.transformer_layers.0.linear1.weight", "encoder.o_heads.1.proj.weight"):
        assert name in decayed
    assert "generated" in others


@pytest.mark.slow
def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    """The last batch but two has one clip, so that a process is left without any."""
    script, out = Path(shared_pretraining.__file__), tmp_path / "two.pt"
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    done = subprocess.run(
        [sys.executable, *launcher, str(script), str(out)],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    one, losses = shared_pretraining.pretrained(ALONE)
    two = torch.load(out, weights_only=True)
    assert two["losses"] == pytest.approx(losses, rel=1e-4)
    assert_close(two["state"], everything(one), atol=2e-4)
    assert two["measures"] == pytest.approx(one.measures, rel=1e-3, abs=1e-5)


@pytest.mark.parametrize("how", [None, Standardize()], ids=["raw", "standardized"])
def test_centroids_begin_at_features_that_are_standardized_unless_that_is_switched_off(
    how: Standardize | None,
) -> None:
    one = learner(Terms(OBJECTIVE.replace(standardize=how)), STILL)
    run(one, 0, SEEDING.batches, shortest=1.0)
    heard = [one.hear(crops(number), None) for number in range(SEEDING.batches)]
    for name, location, clustering in one.targets.generators.named():
        rows = torch.cat([getattr(batch.features, location) for batch in heard if batch is not None])
        features = rows.reshape(-1, rows.shape[-1])
        if how is not None:
            features = one.targets.moments[location](features)
        nearest = torch.cdist(clustering.centroids.detach(), features).amin(dim=1)
        assert float(nearest.max()) < 0.01, name
