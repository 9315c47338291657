"""Audio of any length to tags and embeddings.

The index of the room; nothing is imported here, so that decoder processes start without torch.

- `tagging.tag`, `embedding.embed`, `streaming.find_events`: what people call; `streaming.TagStream`, for
  sound that is still coming in.
- `settings`: what is asked for (`TagSettings`, `EventSettings`, `EmbedSettings`) and where it runs (`Run`).
- `sources`: files, folders and globs to a stream of items.
- `worker`, `process`, `decoding`: decoding in processes of their own, ahead of the model.
- `cutting`, `pipeline`: decoded blocks to windows, to full batches, to one outcome for each file.
- `hearing`: what all that knows of a model (`Ear`), however it computes; `placing`: a torch model as an ear.
- `tags`, `tracking`: files through an ear to tags and to events, without torch.
- `giving`: what a model computes for an embedding run: its end, chosen layers, bands, logits.
- `scoring`: samples to a track of scores, of windows or frames.
- `events`: tracks of scores to onsets and offsets.
- `results`: `TagResult`, `EventResult`, `EmbedResult`.
- `journal`: what a killed run leaves behind and `--resume` goes on with.
- `text`, `tables`, `event_tables`, `arrays`, `formats`: results as people and programs read them.
"""
