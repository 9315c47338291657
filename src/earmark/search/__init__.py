"""Vectors of sounds, and which of them are alike.

The index of the room:

- `stored.read_stored`: a file that `earmark embed` wrote, as a matrix with a place for each row.
- `shelf`: what can be asked (`Shelf`), and a file of them that is (`FileShelf`).
- `index.Index`: an index that grows, kept by LanceDB.
- `exact.nearest`: the rows with the highest cosine to queries.
- `asking.Asker`: a query to the vector that it has, or that the model of the file gives it.
"""
