"""Mean and deviation of log-mel bands, no network: 64 bands at 16 kHz, or the front end of another model."""

from earmark.hear.module import module
from earmark.hear.variants import bands

load_model, get_scene_embeddings, get_timestamp_embeddings = module("builtin", bands)
