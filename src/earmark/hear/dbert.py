"""dBERT's frames with the summary before each: audio_dbert."""

from earmark.hear.module import module
from earmark.hear.variants import dbert

load_model, get_scene_embeddings, get_timestamp_embeddings = module("dbert.e105", dbert)
