"""PaSST-S on clips of 30 s: hear21passt.base30sec."""

from earmark.hear.module import module
from earmark.hear.variants import thirty_seconds

load_model, get_scene_embeddings, get_timestamp_embeddings = module("passt-s-30s.as2m-swa", thirty_seconds)
