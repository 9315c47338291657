"""PaSST-S with a hop of 160 samples, two levels: hear21passt.hop160base2lvl."""

from earmark.hear.module import module
from earmark.hear.variants import two_levels

load_model, get_scene_embeddings, get_timestamp_embeddings = module("passt-s-hop160.as2m-swa", two_levels)
