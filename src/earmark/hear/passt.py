"""PaSST-S, windows of 160 ms: hear21passt.base."""

from earmark.hear.module import module
from earmark.hear.variants import one_level

load_model, get_scene_embeddings, get_timestamp_embeddings = module("passt-s.as2m-swa", one_level)
