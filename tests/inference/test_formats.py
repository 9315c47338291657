import csv
import io
import json

import numpy as np
import pytest
from safetensors import safe_open

from earmark.audio import AudioError
from earmark.config import ConfigError
from earmark.inference import arrays, formats, tables, text
from earmark.inference.results import EmbedResult, Tag, TagResult, TagRow
from earmark.inference.settings import EmbedSettings, TagSettings

TAGS = (Tag("Dog", 0.9), Tag("Rain, heavy", 0.25))


def result(path="a.wav", ranges=((0.0, 2.0), (2.0, 3.5)), tags=TAGS):
    rows = tuple(TagRow(path, start, end, tags) for start, end in ranges)
    return TagResult(path, ranges[-1][1], rows)


FAILED = TagResult("bad\n.wav", 0.0, (), AudioError("bad\n.wav", "the file is empty"))
RESULTS = [result(), FAILED, result("b.wav", ((0.0, 1.0),), ()), result("é.wav")]


def same(found, expected):
    assert [(r.path, r.rows, r.error and r.error.reason) for r in found] == [
        (r.path, r.rows, r.error and r.error.reason) for r in expected
    ]


def joined(pieces):
    return "".join(pieces)


def test_json_rows_have_exactly_the_agreed_names():
    rows = json.loads(joined(tables.as_json(RESULTS)))
    assert rows[0] == {
        "path": "a.wav", "start": 0.0, "end": 2.0,
        "tags": [{"label": "Dog", "score": 0.9}, {"label": "Rain, heavy", "score": 0.25}],
    }  # fmt: skip
    assert rows[2] == {"path": "bad\n.wav", "error": "the file is empty"}
    assert [json.loads(line) for line in joined(tables.as_jsonl(RESULTS)).splitlines()] == rows
    assert json.loads(joined(tables.as_json([]))) == []


def test_csv_has_a_line_for_each_tag_range_and_failure():
    rows = list(csv.DictReader(io.StringIO(joined(tables.as_csv(RESULTS)))))
    assert len(rows) == 4 + 1 + 1 + 4
    assert rows[1] == {
        "path": "a.wav", "start": "0.0", "end": "2.0", "label": "Rain, heavy", "score": "0.25", "error": ""
    }  # fmt: skip
    assert rows[4]["error"] == "the file is empty"
    assert rows[5]["label"] == ""


def test_audacity_reads_times_and_labels_by_tabs():
    lines = joined(tables.as_audacity([result()], single=True)).splitlines()
    assert lines[0].split("\t") == ["0.000000", "2.000000", "Dog"]
    assert joined(tables.as_audacity([result()], single=False)).splitlines()[0].endswith("\ta.wav: Dog")


def test_text_is_aligned_and_names_cannot_drive_the_terminal():
    lines = list(text.lines(result("x\x1b[2J.wav")))
    assert lines[0] == "x\\x1b[2J.wav  0:03.5"
    assert lines[1].startswith("  0:00 - 0:02    Dog          0.90  ██████████████████")
    assert lines[2].index("0.25") == lines[1].index("0.90")


def test_jsonl_and_parquet_are_read_back(tmp_path):
    jsonl, parquet = tmp_path / "a.jsonl", tmp_path / "a.parquet"
    jsonl.write_text(joined(tables.as_jsonl(RESULTS)), encoding="utf-8")
    with parquet.open("wb") as file:
        tables.write_parquet(file, RESULTS)
    same(tables.read_jsonl(jsonl), RESULTS)
    same(tables.read_parquet(parquet), RESULTS)


def test_of_a_torn_jsonl_the_last_source_is_done_again(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(joined(tables.as_jsonl(RESULTS)).encode()[:-30])
    same(tables.read_jsonl(path), RESULTS[:3])


def test_what_is_no_output_of_ours_cannot_be_resumed(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"title": 1}\n')
    with pytest.raises(ConfigError, match="line 1"):
        list(tables.read_jsonl(path))
    with pytest.raises(ConfigError, match="no parquet file"):
        list(tables.read_parquet(path))


def test_records_hold_results():
    same([formats.tags_of(formats.of_tags(r)) for r in RESULTS], RESULTS)


EMBEDDED = [
    EmbedResult(
        "a.wav", 2.0, np.arange(6, dtype=np.float32).reshape(2, 3), np.array([0.0, 1]), np.array([1.0, 2])
    ),
    arrays.failed("bad.wav", "the file is empty"),
    EmbedResult("bé.wav", 1.0, np.ones((1, 3), np.float32), np.array([0.0]), np.array([1.0])),
]
MATRIX = [[0, 1, 2], [3, 4, 5], [1, 1, 1]]


def test_npz_holds_a_row_for_each_vector_and_the_failures(tmp_path):
    path = tmp_path / "e.npz"
    with path.open("wb") as file:
        arrays.write_npz(file, lambda: EMBEDDED)
    with np.load(path, allow_pickle=False) as data:
        assert data["path"].tolist() == ["a.wav", "a.wav", "bé.wav"]
        assert data["start"].tolist() == [0, 1, 0]
        assert data["end"].tolist() == [1, 2, 1]
        assert data["embedding"].tolist() == MATRIX
        assert dict(zip(data["error_path"].tolist(), data["error"].tolist(), strict=True)) == {
            "bad.wav": "the file is empty"
        }


def test_safetensors_names_its_sources_in_the_header(tmp_path):
    path = tmp_path / "e.safetensors"
    with path.open("wb") as file:
        arrays.write_safetensors(file, lambda: EMBEDDED)
    with safe_open(path, "numpy") as data:
        paths = json.loads(data.metadata()["paths"])
        assert [paths[index] for index in data.get_tensor("file")] == ["a.wav", "a.wav", "bé.wav"]
        assert json.loads(data.metadata()["errors"]) == {"bad.wav": "the file is empty"}
        assert data.get_tensor("embedding").tolist() == MATRIX
        assert data.get_tensor("end").tolist() == [1, 2, 1]


def test_parquet_embeddings_are_read_back(tmp_path):
    path = tmp_path / "e.parquet"
    with path.open("wb") as file:
        arrays.write_parquet(file, lambda: EMBEDDED)
    for found, expected in zip(arrays.read_parquet(path), EMBEDDED, strict=True):
        assert (found.path, str(found.error)) == (expected.path, str(expected.error))
        np.testing.assert_array_equal(found.starts, expected.starts)
        if not expected.error:
            np.testing.assert_array_equal(found.embeddings, expected.embeddings)


def test_embedding_records_hold_results():
    for expected in EMBEDDED:
        found = formats.embeddings_of(formats.of_embeddings(expected))
        assert (found.path, found.seconds) == (expected.path, expected.seconds)
        np.testing.assert_array_equal(found.ends, expected.ends)
        if not expected.error:
            np.testing.assert_array_equal(found.embeddings, expected.embeddings)


@pytest.mark.parametrize("write", [arrays.write_npz, arrays.write_safetensors, arrays.write_parquet])
def test_a_run_that_heard_nothing_still_writes_a_valid_file(write, tmp_path):
    with (tmp_path / "e").open("wb") as file:
        write(file, lambda: EMBEDDED[1:2])
    assert (tmp_path / "e").stat().st_size > 0


def test_a_source_that_is_named_twice_in_a_row_is_read_back_twice(tmp_path):
    twice = [result(ranges=((0.0, 2.0),))] * 2 + [result("b.wav", ((0.0, 1.0),), ())] * 2 + [result()] * 2
    path = tmp_path / "tags.parquet"
    with path.open("wb") as file:
        tables.write_parquet(file, twice)
    same(tables.read_parquet(path), twice)
    once = EMBEDDED[2]
    frames = EmbedResult(  # of two rows that overlap: their times go back
        "c.wav", 3.0, np.ones((4, 3), np.float32), np.array([0.0, 1, 0.5, 1.5]), np.array([1.0, 2, 1.5, 2.5])
    )
    with path.open("wb") as file:
        arrays.write_parquet(file, lambda: [once, once, frames, frames])
    assert [(r.path, len(r.embeddings)) for r in arrays.read_parquet(path)] == [
        ("b\u00e9.wav", 1), ("b\u00e9.wav", 1), ("c.wav", 4), ("c.wav", 4)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "row",
    [
        '{"path": "a", "start": 0, "end": 1, "tags": [{"name": "Dog", "score": 0.5}]}',
        '{"path": "a", "start": 0, "end": 1, "tags": [{"label": "Dog", "score": "high"}]}',
        '{"path": "a", "start": 0, "end": 1, "tags": 5}',
        '{"path": "a", "start": null, "end": 1, "tags": []}',
        '{"path": "a", "error": null}',
        '{"path": 7, "error": "x"}',
        '{"path": "a"}',
        "[" * 100_000,
    ],
)
def test_a_row_of_another_shape_cannot_be_resumed(tmp_path, row):
    (tmp_path / "a.jsonl").write_text(row + "\n")
    with pytest.raises(ConfigError, match="line 1 is no row"):
        list(tables.read_jsonl(tmp_path / "a.jsonl"))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"top": 2}, None),
        ({"top": 1}, "2 tags in a row"),
        ({"top": 3}, "2 tags in a row"),
        ({"top": 2, "threshold": 0.3}, "a score of 0.25"),
        ({"top": 2, "window": 1.0}, "a row from 0 to 2 s"),
        ({"top": 2, "window": 2.0, "hop": 1.0}, "a row from 2 to 3.5 s"),
        ({"top": 2, "window": None}, "several rows"),
    ],
)
def test_a_record_that_other_settings_gave_is_known_by_what_it_holds(settings, words):
    labels = ("Dog", "Rain, heavy", "Wind")
    settings = TagSettings(**{"window": 2.0, **settings})
    reason = formats.misfit_of_tags(formats.of_tags(result()), settings, labels)
    assert reason is None if words is None else words in reason
    assert formats.misfit_of_tags(formats.of_tags(FAILED), settings, labels) is None


def test_embeddings_of_another_level_or_width_are_known():
    record = formats.of_embeddings(EMBEDDED[0])
    fits = formats.misfit_of_embeddings
    assert fits(record, EmbedSettings(window=1.0), 3, 0.1) is None
    assert "several rows" in fits(record, EmbedSettings(), 3, 0.1)
    assert "more than a frame" in fits(record, EmbedSettings(level="frame"), 3, 0.1)
    assert "vectors of 3" in fits(record, EmbedSettings(window=1.0), 4, 0.1)
