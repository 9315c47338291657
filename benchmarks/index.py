"""An index of embeddings: time to build, recall and speed beside looking at every vector.

    python benchmarks/index.py --rows 1000000 --dim 128

The vectors are synthetic: points around random centers, as embeddings of sounds that fall into kinds lie,
from seed 0.  Queries are fresh points around the same centers.  Exact search is LanceDB's own over all
vectors, asked in turn with the index, one query after the other; and numpy's, over the matrix in memory.
"""

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
from table import Missing, Rows, paired, version

from earmark.search.exact import nearest
from earmark.search.index import Index
from earmark.search.stored import Stored

CENTERS = 2000
SPREAD = 0.7
"""Deviation of a point from its center, whose numbers have a deviation of 1."""


def main() -> None:
    """Build, ask, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--files", type=int, default=10, help="the rows are added in so many parts")
    given = parser.parse_args()
    draw = np.random.default_rng(0)
    centers = draw.normal(size=(CENTERS, given.dim)).astype(np.float32)
    vectors = np.concatenate([around(centers, part, draw) for part in split(given.rows, given.files)])
    folder = tempfile.mkdtemp()
    try:
        report(Index(folder), vectors, around(centers, given.queries, draw), given.files)
    finally:
        shutil.rmtree(folder)


def split(rows: int, parts: int) -> list[int]:
    """Rows in nearly equal parts."""
    return [rows // parts + (part < rows % parts) for part in range(parts)]


def around(centers: np.ndarray, rows: int, draw: np.random.Generator) -> np.ndarray:
    """Points around random centers."""
    noise = draw.standard_normal((rows, centers.shape[1]), dtype=np.float32)
    return centers[draw.integers(len(centers), size=rows)] + SPREAD * noise


def filled(index: Index, vectors: np.ndarray, files: int) -> tuple[float, float]:
    """Seconds to add vectors in so many parts, and to build."""
    began, first = time.perf_counter(), 0
    for count in split(len(vectors), files):
        rows = range(first, first + count)
        times = np.array(rows, dtype=np.float64)
        about = {"model": "synthetic"}
        index.add(
            Stored(vectors[first : first + count], [f"{row}.wav" for row in rows], times, times + 1, about)
        )
        first += count
    added = time.perf_counter()
    index.build()
    return added - began, time.perf_counter() - added


def asked(
    index: Index, vectors: np.ndarray, queries: np.ndarray
) -> tuple[dict[str, list[float]], list[float]]:
    """Seconds of each query by each way, in turn, and its recall by the index."""
    shares: list[float] = []
    spent: dict[str, list[float]] = {"index": [], "every vector": [], "numpy": []}
    for query in queries:
        found = {}
        for name, ask in (
            ("index", lambda one: index.nearest(one, 10)),
            ("every vector", lambda one: index.nearest(one, 10, exact=True)),
            ("numpy", lambda one: nearest(vectors, one[None], 10)),
        ):
            start = time.perf_counter()
            found[name] = ask(query)
            spent[name].append(time.perf_counter() - start)
        wanted = {one.path for one in found["every vector"]}
        shares.append(len(wanted & {one.path for one in found["index"]}) / len(wanted))
    return spent, shares


def report(index: Index, vectors: np.ndarray, queries: np.ndarray, files: int) -> None:
    """Time adding, building and asking."""
    added, built = filled(index, vectors, files)
    print(f"{len(vectors)} rows of {vectors.shape[1]} numbers")
    print(f"added in {added:.1f} s, built in {built:.1f} s")
    spent, shares = asked(index, vectors, queries)
    middle = {name: statistics.median(some) for name, some in spent.items()}
    print(f"recall@10 {np.mean(shares):.3f} over {len(queries)} queries")
    for name, seconds in middle.items():
        print(
            f"{name:13s} {1000 * seconds:8.1f} ms a query, {seconds / middle['index']:.1f} times the index's"
        )


def rows(_: Path, count: int = 200_000, dim: int = 128, queries: int = 30) -> Rows:
    """A query of an index, beside looking at every vector."""
    name = f"a query among {count:,} vectors of {dim}"
    if (released := version("lancedb")) is None:
        return [Missing(name, "lancedb not installed")]
    draw = np.random.default_rng(0)
    centers = draw.normal(size=(CENTERS, dim)).astype(np.float32)
    vectors = around(centers, count, draw)
    with tempfile.TemporaryDirectory() as folder:
        index = Index(folder)
        added, built = filled(index, vectors, 2)
        spent, shares = asked(index, vectors, around(centers, queries + 1, draw))
    note = f"recall@10 {np.mean(shares):.3f}; added in {added:.1f} s, built in {built:.1f} s"
    ours, lance, plain = ([1000 * one for one in some[1:]] for some in spent.values())
    return [
        paired(name, "ms", ours, lance, f"lancedb {released}, every vector", note),
        paired(name, "ms", ours, plain, f"numpy {np.__version__}, every vector"),
    ]


if __name__ == "__main__":
    main()
