"""EfficientAT's mn10, the frames near each point in time."""

from earmark.hear.module import module
from earmark.hear.variants import fitting

load_model, get_scene_embeddings, get_timestamp_embeddings = module("mn10.as2m", fitting)
