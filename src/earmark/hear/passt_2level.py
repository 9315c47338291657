"""PaSST-S, windows of 160 and 800 ms: hear21passt.base2level."""

from earmark.hear.module import module
from earmark.hear.variants import two_levels

load_model, get_scene_embeddings, get_timestamp_embeddings = module("passt-s.as2m-swa", two_levels)
