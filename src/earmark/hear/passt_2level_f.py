"""PaSST-S, windows of 160 and 800 ms without logits: the base2levelF of hear21passt's README."""

from earmark.hear.module import module
from earmark.hear.variants import two_levels_f

load_model, get_scene_embeddings, get_timestamp_embeddings = module("passt-s.as2m-swa", two_levels_f)
