"""PaSST-S on clips of 20 s: hear21passt.base20sec."""

from earmark.hear.module import module
from earmark.hear.variants import twenty_seconds

load_model, get_scene_embeddings, get_timestamp_embeddings = module("passt-s-20s.as2m-swa", twenty_seconds)
