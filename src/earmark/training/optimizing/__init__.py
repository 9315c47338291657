"""How weights change: the optimizer, its rate over a run, and averages of what it leaves."""
