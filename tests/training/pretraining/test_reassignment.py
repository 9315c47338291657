"""Centroids that nothing belongs to."""

import numpy as np
import torch
from tiny_dbert import ALONE, crops

from earmark.training.pretraining.generators import Clustering
from earmark.training.pretraining.reassignment import Reassign, Usage, drawn_vectors, revive


def test_a_centroid_dies_when_its_average_count_is_small_and_not_before() -> None:
    config, usage = Reassign(memory=0.5, below=0.2), Usage(2)
    history = []
    for _ in range(6):
        usage.add(torch.tensor([4.0, 1.0 if not history else 0.0]))
        history.append(usage.dead(config).tolist())
    # 1, .5, .25, .125: dead; it counts as just used from there on
    assert history == [[False, False]] * 3 + [[False, True]] + [[False, False]] * 2


def test_counts_of_all_iterations_between_two_looks_are_added() -> None:
    usage = Usage(1)
    for _ in range(10):
        usage.add(torch.tensor([0.05]))
    assert not usage.dead(Reassign(below=0.4)).any()
    assert float(usage.counts) == 0


def test_a_revived_centroid_is_where_it_was_put_and_adam_forgets_only_its_row() -> None:
    clustering = Clustering(3, 2)
    optimizer = torch.optim.Adam(clustering.parameters(), lr=0.1)
    loss, _ = clustering(torch.randn(9, 2, generator=torch.Generator().manual_seed(0)))
    loss.backward()
    optimizer.step()
    before = clustering.centroids.detach().clone()
    memory = optimizer.state[clustering.centroids]
    kept = {name: memory[name].clone() for name in ("exp_avg", "exp_avg_sq")}
    dead = torch.tensor([False, True, False])
    revive(clustering, optimizer, dead, torch.tensor([[7.0, 8.0]]))
    assert clustering.centroids[1].tolist() == [7.0, 8.0]
    assert torch.equal(clustering.centroids[~dead], before[~dead])
    for name, tensor in kept.items():
        assert memory[name][1].tolist() == [0.0, 0.0]
        assert torch.equal(memory[name][~dead], tensor[~dead])


def test_reviving_before_the_first_step_of_the_optimizer_is_fine() -> None:
    clustering = Clustering(2, 2)
    optimizer = torch.optim.Adam(clustering.parameters())
    revive(clustering, optimizer, torch.tensor([True, False]), torch.ones(1, 2))
    assert clustering.centroids[0].tolist() == [1.0, 1.0]


def test_drawn_vectors_are_those_of_the_batch_and_never_padding() -> None:
    batch = crops(3, clips=4)
    vectors = torch.arange(4 * 6, dtype=torch.float32).reshape(4, 6, 1)
    lengths = torch.tensor([1, 2, 3, 6])
    allowed = {float(v) for clip, n in enumerate(lengths.tolist()) for v in vectors[clip, :n].flatten()}
    drawn = drawn_vectors(vectors, lengths, batch, 300, np.random.default_rng(0), ALONE)
    assert {float(v) for v in drawn.flatten()} == allowed


def test_drawn_summaries_are_whole_vectors() -> None:
    summaries = torch.randn(4, 5, generator=torch.Generator().manual_seed(0))
    drawn = drawn_vectors(summaries, None, crops(0, clips=4), 50, np.random.default_rng(1), ALONE)
    assert {tuple(one) for one in drawn.tolist()} == {tuple(one) for one in summaries.tolist()}
