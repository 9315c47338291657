"""PaSST-S with a hop of 100 samples, two levels and the spectrogram: hear21passt.hop100base2lvlmel."""

from earmark.hear.module import module
from earmark.hear.variants import finer_mel

load_model, get_scene_embeddings, get_timestamp_embeddings = module("passt-s-hop100.as2m-swa", finer_mel)
