"""PaSST-S with a hop of 160 samples: hear21passt.hop160base."""

from earmark.hear.module import module
from earmark.hear.variants import one_level

load_model, get_scene_embeddings, get_timestamp_embeddings = module("passt-s-hop160.as2m-swa", one_level)
