"""An index of embeddings that grows, on disk or in object storage, kept by LanceDB."""

import json
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float

from earmark.config import ConfigError
from earmark.search.shelf import Neighbor
from earmark.search.stored import Stored

TABLE = "embeddings"
FEW = 10_000
"""Up to so many rows every vector is looked at: an index would be no faster."""
PROBED = 10
"""Share of the index's cells that are looked into: one in so many."""
PER_CODE = 4
"""Numbers of a vector that become one byte."""
REFINED = 10
"""So many times as many rows as are asked for are compared by their exact vectors."""


class Recall(NamedTuple):
    """How the index does beside looking at every vector.

    Attributes:
        share: of the ten nearest by every vector that the index finds, over some stored vectors.
        queries: how many were asked for.
    """

    share: float
    queries: int


class Index:
    """Embeddings of one model that can be searched, and added to.

    Each addition is a version of its own: it is there whole or not at all, and an older one can be had back
    by LanceDB.

    Args:
        place: a folder, or the address of one in object storage, such as s3://bucket/sounds.

    Attributes:
        about: the model and the settings that made them.
        dim: width of a vector; 0 as long as there is none.
        rows: how many vectors there are.
        indexed: whether they are sorted into cells.

    Raises:
        ConfigError: LanceDB is not installed.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        self._database = _lancedb().connect(place)
        self.about: dict[str, Any] = {}
        self.dim = self.rows = 0
        self.indexed = False
        self._table: Any = None
        if TABLE in _names(self._database):
            self._open(self._database.open_table(TABLE))

    @property
    def version(self) -> int:
        """Counts additions."""
        return 0 if self._table is None else int(self._table.version)

    def add(self, stored: Stored) -> int:
        """Add what is not there yet, by path and time, and tell how many rows that were.

        Args:
            stored: of the same model and settings as what is there.

        Raises:
            ConfigError: they are of another model or width.
        """
        if self._table is not None:
            self._check(stored)
        known = self._places()
        fresh = [
            row
            for row, place in enumerate(zip(stored.paths, stored.starts.tolist(), strict=True))
            if place not in known
        ]
        if not fresh:
            return 0
        data = _arrow(stored, np.array(fresh))
        if self._table is None:
            self._open(self._database.create_table(TABLE, data))
        else:
            self._table.add(data)
            self._open(self._table)
        return len(fresh)

    def build(self) -> None:
        """Sort the vectors into cells, so that a search looks at few of them; a small index needs none."""
        rows = self.rows
        if rows <= FEW:
            return
        config = import_module("lancedb.index").IvfPq(
            distance_type="cosine",
            num_partitions=_cells(rows),
            num_sub_vectors=self.dim // PER_CODE if self.dim % PER_CODE == 0 else None,
        )
        self._table.create_index("vector", config=config, replace=True)
        self._open(self._table)

    def vector_of(self, path: str) -> Float[np.ndarray, "dim"] | None:
        """The mean of the vectors of a source; None if it is not here."""
        if self._table is None:
            return None
        found = self._table.search().where(f"path = {_quoted(path)}").select(["vector"]).to_arrow()
        return _vectors(found).mean(axis=0) if len(found) else None

    def nearest(
        self,
        vector: Float[np.ndarray, "dim"],
        top: int,
        without: str = "",
        where: str | None = None,
        exact: bool = False,
    ) -> list[Neighbor]:
        """The stretches that are nearest, nearest first, but for those of one source.

        Args:
            vector: what is looked for.
            top: how many.
            without: a path.
            where: a condition on path, start and end, in SQL.
            exact: look at every vector.

        Raises:
            ConfigError: there is nothing to search, or LanceDB cannot read the condition.
        """
        if self._table is None:
            raise ConfigError(f"{self.place}: there are no embeddings; `earmark index` puts some there")
        asked = self._table.search(vector).distance_type("cosine").limit(top)
        if exact or not self.indexed:
            asked = asked.bypass_vector_index()
        else:
            asked = asked.nprobes(-(-_cells(self.rows) // PROBED)).refine_factor(REFINED)
        conditions = [f"({one})" for one in (f"path != {_quoted(without)}" if without else "", where) if one]
        if conditions:
            asked = asked.where(" AND ".join(conditions), prefilter=True)
        try:
            rows = asked.select(["path", "start", "end", "_distance"]).to_list()
        except (ValueError, RuntimeError, OSError) as error:
            reason = str(error).strip().splitlines()[0][:200]
            raise ConfigError(f"--filter {where!r}: cannot be asked for ({reason})") from None
        return [Neighbor(row["path"], row["start"], row["end"], 1 - row["_distance"]) for row in rows]

    def recall(self, queries: int = 100) -> Recall:
        """Ask for some stored vectors by the index and by every vector, and compare the ten nearest."""
        draws = np.random.default_rng(0).choice(self.rows, min(queries, self.rows), replace=False)
        vectors = _vectors(self._table.take_offsets(draws.tolist()).select(["vector"]).to_arrow())
        shares: list[float] = []
        for vector in vectors:
            by_all = {one[:2] for one in self.nearest(vector, 10, exact=True)}
            shares.append(len(by_all & {one[:2] for one in self.nearest(vector, 10)}) / len(by_all))
        return Recall(float(np.mean(shares)), len(shares))

    def _open(self, table: Any) -> None:
        schema = table.schema
        self._table, self.dim = table, schema.field("vector").type.list_size
        self.about = json.loads((schema.metadata or {}).get(b"earmark", b"{}"))
        self.rows, self.indexed = int(table.count_rows()), bool(table.list_indices())

    def _check(self, stored: Stored) -> None:
        if stored.vectors.shape[1] != self.dim:
            raise ConfigError(
                f"{self.place} holds vectors of {self.dim} numbers, these have {stored.vectors.shape[1]}; "
                "index them in a place of their own"
            )
        for name in ("model_digest", "layer", "pool", "mode", "level"):
            if stored.about.get(name) != self.about.get(name):
                raise ConfigError(
                    f"{self.place} holds embeddings with {name} {self.about.get(name)}, these have "
                    f"{stored.about.get(name)}; index them in a place of their own"
                )

    def _places(self) -> set[tuple[str, float]]:
        if self._table is None:
            return set()
        found = self._table.search().select(["path", "start"]).limit(self.rows).to_arrow()
        return set(zip(found.column("path").to_pylist(), found.column("start").to_pylist(), strict=True))


class Asked:
    """An index under a condition, as a `Shelf`.

    Args:
        index: what is searched.
        where: a condition on path, start and end, in SQL; None for none.
        exact: look at every vector.
    """

    def __init__(self, index: Index, where: str | None = None, exact: bool = False) -> None:
        self.about, self.dim, self.vector_of = index.about, index.dim, index.vector_of
        self._index, self._where, self._exact = index, where, exact

    def nearest(self, vector: Float[np.ndarray, "dim"], top: int, without: str) -> list[Neighbor]:
        """See `Shelf`."""
        return self._index.nearest(vector, top, without, self._where, self._exact)


def _cells(rows: int) -> int:
    """Half the square root of the rows: finding cells and looking into them then cost about the same."""
    return max(1, round(rows**0.5 / 2))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _arrow(stored: Stored, rows: np.ndarray) -> Any:
    arrow = import_module("pyarrow")
    dim = stored.vectors.shape[1]
    flat = arrow.array(np.ascontiguousarray(stored.vectors[rows], np.float32).reshape(-1))
    return arrow.table(
        {
            "path": arrow.array([stored.paths[row] for row in rows], arrow.string()),
            "start": arrow.array(stored.starts[rows], arrow.float64()),
            "end": arrow.array(stored.ends[rows], arrow.float64()),
            "vector": arrow.FixedSizeListArray.from_arrays(flat, dim),
        }
    ).replace_schema_metadata({"earmark": json.dumps(stored.about)})


def _vectors(found: Any) -> Float[np.ndarray, "row dim"]:
    column = found.column("vector").combine_chunks()
    return column.flatten().to_numpy(zero_copy_only=False).reshape(len(found), -1)


def _names(database: Any) -> list[str]:
    listed = database.list_tables()
    return list(getattr(listed, "tables", listed))


def _lancedb() -> Any:
    try:
        import_module("pyarrow")
        return import_module("lancedb")
    except ImportError:
        raise ConfigError('an index needs LanceDB; install it with `pip install "earmark[search]"`') from None
