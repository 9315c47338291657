"""Runs that are too long for one machine: planned, cut into blocks, and heard by an engine of many processes.

- `plan`: what is to be heard, written down once, and which blocks of it are still missing.
- `work`: how one process hears one block and writes its part, whole or not at all.
- `engine`: Ray Data, which hands blocks to processes on all machines and puts lost ones right.
"""
