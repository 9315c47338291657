"""Vectors of sounds, and which of them are alike.

The index of the room:

- `stored.read_stored`: a file that `earmark embed` wrote, as a matrix with a place for each row.
- `exact.nearest`: the rows with the highest cosine to queries.
- `asking.Asker`: a query to the vector that it has, or that the model of the file gives it.
"""
