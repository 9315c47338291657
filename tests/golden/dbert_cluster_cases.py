"""The recorded cases of audio_dbert's generators of clusters, and of the routines beside them."""

from typing import Any

import torch
from torch import Tensor

from earmark.encoders.dbert import DBERT
from earmark.training.pretraining.features import valid_frames
from earmark.training.pretraining.generators import Clustering, distances_between
from earmark.training.pretraining.seeding import k_means, k_means_plus_plus

Outputs = dict[str, Tensor]

RESTARTS = 20


def dbert_kmean(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    assert weights is not None
    forcing = args["forcing_coeff"] if args["add_forcing"] else 0.0
    clustering = Clustering(args["K"], args["dim"], args["dist"], forcing)
    clustering.load_state_dict(weights)
    vectors = inputs["v"].clone().requires_grad_()
    loss, clusters = clustering(vectors)
    loss.backward()
    assert vectors.grad is not None
    assert clustering.centroids.grad is not None
    return {
        "loss": loss.detach(),
        "assignments": clusters,
        "grad_centroids": clustering.centroids.grad,
        "grad_v": vectors.grad,
        "distances": distances_between(inputs["v"], clustering.centroids.detach(), args["dist"]),
    }


@torch.no_grad()
def dbert_kmgen(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    """Several clusterings; the loss of a step is the mean of theirs."""
    assert weights is not None
    cfg, losses, outputs = args["cfg"], [], {}
    for index, n_clusters in enumerate(cfg["K"]):
        forcing = cfg["forcing_coeff"] if cfg["add_forcing"] else 0.0
        clustering = Clustering(n_clusters, cfg["dim"], cfg["dist"], forcing)
        clustering.load_state_dict({"centroids": weights[f"km_modules.{index}.centroids"]})
        loss, outputs[f"assignments.{index}"] = clustering(inputs[f"v{index}"])
        losses.append(loss)
    return outputs | {"loss": torch.stack(losses).mean()}


def dbert_helpers(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    points, means, rows, others = inputs["X"].T, inputs["means"].T, inputs["A"], inputs["B"]
    cosine = distances_between(rows, others, "cosine")
    return {
        "euclid_dist": distances_between(points, means, "euclid"),
        "cosine_dist": distances_between(points, means, "cosine"),
        "smart_euclid_dist": distances_between(rows, others, "euclid"),
        "smart_cosine_dist": cosine,
        "smart_cosine_sim": 1 - cosine,
        "mask_from_lengths": valid_frames(EVERY_SAMPLE, int(inputs["lengths"].max()), inputs["lengths"]),
        **restarted(inputs["blobs"].T, args["k"], args["dist"]),
        **principal(inputs["blobs"].T),
    }


EVERY_SAMPLE = DBERT(convs=((1, 1, 1),))
"""An encoder whose frames are single samples, so that lengths in samples are lengths in frames."""


def restarted(points: Tensor, k: int, distance: Any) -> Outputs:
    """The best of some k-means that begin elsewhere; clusters in the order of their first coordinate."""
    found = []
    for seed in range(RESTARTS):
        begun = k_means_plus_plus(points, k, torch.Generator().manual_seed(seed), distance)
        means = k_means(points, begun, rounds=100)
        found.append((distances_between(points, means, distance).amin(dim=1).sum(), means))
    loss, means = min(found, key=lambda one: float(one[0]))
    means = means[means[:, 0].argsort()]
    return {
        "kmeans_means_sorted": means.T,
        "kmeans_assignments_sorted": distances_between(points, means, distance).argmin(dim=1),
        "kmeans_loss": loss,
    }


def principal(points: Tensor) -> Outputs:
    """Principal components; earmark itself has no use for them, so torch's decomposition answers alone."""
    mean = points.mean(dim=0)
    _, lengths, directions = torch.linalg.svd(points - mean, full_matrices=False)
    variances = lengths.square() / (len(points) - 1)
    projected = (points - mean) @ directions[:2].T
    outputs = {
        "abs_projection": projected.abs().T,
        "variances": variances,
        "reconstruction": (projected @ directions[:2] + mean).T,
        "whitened_abs": (projected / variances[:2].sqrt()).abs().T,
    }
    methods = ("e-decomposition", "SVD")
    return {f"pca_{method}_{name}": tensor for method in methods for name, tensor in outputs.items()}


RUNNERS = (dbert_kmean, dbert_kmgen, dbert_helpers)
