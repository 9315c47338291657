"""An index that grows: nothing twice, nothing of another model, and the nearest are found."""

import json
from pathlib import Path

import numpy as np
import pytest

from earmark.cli import main
from earmark.config import ConfigError
from earmark.inference import arrays
from earmark.inference.results import EmbedResult
from earmark.search import index as indexing
from earmark.search.exact import nearest
from earmark.search.index import Asked, Index
from earmark.search.stored import Stored, read_stored

pytest.importorskip("lancedb", reason="lancedb is not installed")
DIM = 8
RNG = np.random.default_rng(0)


def stored(rows: int, first: int = 0, **about: object) -> Stored:
    names = [f"it's {number}.wav" for number in range(first, first + rows)]
    vectors = np.random.default_rng(first).normal(size=(rows, DIM)).astype(np.float32)
    times = np.zeros(rows)
    return Stored(
        vectors, names, times, times + 1, {"model": "m", "model_digest": "1", "layer": [0], **about}
    )


def test_what_is_there_is_not_added_again_and_each_addition_is_a_version(tmp_path: Path) -> None:
    index = Index(str(tmp_path / "index"))
    assert (index.add(stored(20)), index.version) == (20, 1)
    assert (index.add(stored(20)), index.version) == (0, 1)
    more = stored(30)
    assert (index.add(more), index.rows, index.version) == (10, 30, 2)
    again = Index(str(tmp_path / "index"))
    assert (again.rows, again.dim, again.about) == (30, DIM, more.about)


@pytest.mark.parametrize("exact", [True, False])
def test_the_nearest_are_those_of_looking_at_every_vector(tmp_path: Path, exact: bool) -> None:
    index, some = Index(str(tmp_path / "index")), stored(200)
    index.add(some)
    for row in (0, 17):
        wanted = nearest(some.vectors, some.vectors[row : row + 1], 6)
        found = index.nearest(some.vectors[row], 5, without=some.paths[row], exact=exact)
        assert [one.path for one in found] == [some.paths[number] for number in wanted.rows[0, 1:]]
        assert np.allclose([one.similarity for one in found], wanted.similarities[0, 1:], atol=1e-5)
    kept = index.vector_of(some.paths[3])
    assert kept is not None
    assert np.array_equal(kept, some.vectors[3])
    assert index.vector_of("other.wav") is None


def test_a_condition_is_asked_before_the_nearest_are_chosen(tmp_path: Path) -> None:
    index, some = Index(str(tmp_path / "index")), stored(50)
    index.add(some)
    found = Asked(index, "path LIKE '%7.wav'").nearest(some.vectors[0], 9, without="")
    assert sorted(one.path for one in found) == [f"it's {number}.wav" for number in (17, 27, 37, 47, 7)]
    with pytest.raises(ConfigError, match="cannot be asked for"):
        Asked(index, "path LIKE").nearest(some.vectors[0], 9, without="")


def test_vectors_of_another_model_are_refused(tmp_path: Path) -> None:
    index = Index(str(tmp_path / "index"))
    with pytest.raises(ConfigError, match="there are no embeddings"):
        index.nearest(RNG.normal(size=DIM), 1)
    index.add(stored(3))
    with pytest.raises(ConfigError, match="with model_digest 1, these have 2"):
        index.add(stored(3, 5, model_digest="2"))
    with pytest.raises(ConfigError, match="with layer"):
        index.add(stored(3, 5, layer=None))
    with pytest.raises(ConfigError, match="vectors of 8 numbers, these have 4"):
        index.add(stored(3, 5)._replace(vectors=np.ones((3, 4), np.float32)))
    assert index.rows == 3


def test_a_large_index_is_sorted_into_cells_and_still_finds_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(indexing, "FEW", 500)
    index, some = Index(str(tmp_path / "index")), stored(2000)
    index.add(some)
    index.build()
    assert index.indexed
    assert index.recall(20).share > 0.7
    assert Index(str(tmp_path / "index")).indexed
    more = stored(40, 5000)
    index.add(more)  # not in the cells yet, and found nevertheless
    assert index.nearest(more.vectors[3], 1)[0].path == more.paths[3]


def test_the_commands_index_and_search(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    some = stored(30)
    for name, rows in (("a", range(20)), ("b", range(10, 30))):
        results = [
            EmbedResult(some.paths[row], 1.0, some.vectors[row : row + 1], some.starts[:1], some.ends[:1])
            for row in rows
        ]
        with (tmp_path / f"{name}.npz").open("wb") as file:
            arrays.write_npz(file, lambda results=results: results, some.about)
    assert read_stored(tmp_path / "a.npz").about == some.about
    files, place = [str(tmp_path / f"{name}.npz") for name in "ab"], str(tmp_path / "index")
    assert command("index", *files, "--out", place) == 0
    assert "b.npz: 10 rows added, 10 were there" in capsys.readouterr().out
    np.save(tmp_path / "query.npy", some.vectors[4])
    assert command("search", place, str(tmp_path / "query.npy"), some.paths[4], "--top", "1", "--json") == 0
    first, second = map(json.loads, capsys.readouterr().out.splitlines())
    assert first["path"] == some.paths[4]
    assert second["path"] != some.paths[4]
    np.save(tmp_path / "query.npy", some.vectors[4, :3])
    assert command("search", place, str(tmp_path / "query.npy")) == 2
    assert "has 3 numbers, and those that are stored have 8" in capsys.readouterr().err


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)
