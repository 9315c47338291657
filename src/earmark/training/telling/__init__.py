"""What a run tells of itself while it goes: a line, curves, trackers."""
