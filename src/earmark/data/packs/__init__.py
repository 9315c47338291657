"""Packs: the clips of a corpus in a few large files, each clip found by its file and its row there."""
