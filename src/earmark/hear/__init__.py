"""Modules of the HEAR 2021 common API: `load_model`, `get_scene_embeddings`, `get_timestamp_embeddings`.

`earmark.hear.passt_2level` and its neighbors replace hear21passt's modules and audio_dbert;
`earmark.hear.model` serves any model by name or file.
"""
