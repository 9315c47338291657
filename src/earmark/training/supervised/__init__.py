"""Learning from labels; `pretraining` beside it has the same parts for sound alone."""
