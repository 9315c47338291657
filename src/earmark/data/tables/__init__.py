"""Tables of clips: reading them, finding their columns, and saying what is wrong where."""
