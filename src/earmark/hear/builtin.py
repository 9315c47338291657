"""The model that comes with the package, the frames near each point in time."""

from earmark.hear.module import module
from earmark.hear.variants import fitting

load_model, get_scene_embeddings, get_timestamp_embeddings = module("builtin", fitting)
