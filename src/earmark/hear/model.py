"""Any model: a name, a checkpoint or a run folder as `model_file_path`; the built-in one without."""

from earmark.hear.module import module
from earmark.hear.variants import fitting

load_model, get_scene_embeddings, get_timestamp_embeddings = module("builtin", fitting)
