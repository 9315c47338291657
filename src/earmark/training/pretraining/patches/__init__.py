"""Pretraining of spectrogram transformers: hear a few patches, tell what the hidden ones hold."""

from earmark.training.pretraining.patches.description import MaskedPatches, PatchClusters

__all__ = ["MaskedPatches", "PatchClusters"]
