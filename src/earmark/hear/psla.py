"""PSLA's EfficientNet-B2 on AudioSet, the frames near each point in time."""

from earmark.hear.module import module
from earmark.hear.variants import fitting

load_model, get_scene_embeddings, get_timestamp_embeddings = module("psla-b2.as2m-wa", fitting)
