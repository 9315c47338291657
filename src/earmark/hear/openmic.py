"""PaSST-S of OpenMIC-2018, 20 instruments: what hear21passt.openmic2008 was to be."""

from earmark.hear.module import module
from earmark.hear.variants import one_level

load_model, get_scene_embeddings, get_timestamp_embeddings = module("passt-s.openmic", one_level)
