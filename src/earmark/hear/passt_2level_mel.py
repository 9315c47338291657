"""PaSST-S, windows of 160 and 640 ms and the spectrogram: hear21passt.base2levelmel."""

from earmark.hear.module import module
from earmark.hear.variants import two_levels_mel

load_model, get_scene_embeddings, get_timestamp_embeddings = module("passt-s.as2m-swa", two_levels_mel)
