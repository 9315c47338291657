"""`earmark tag --events`, and the tables that it writes."""

import csv
import io
import json
from pathlib import Path

import pytest
import soundfile

from earmark.inference.event_tables import RAVEN
from earmark.inference.settings import EventSettings
from earmark.inference.streaming import find_events
from earmark.models import load, save
from inference.sounds import RATE, make_model, sound, spread

ASKED = EventSettings(window=0.5, hop=0.1, threshold=0.55, off_threshold=0.4, min_gap=0.2)
FLAGS = ("--events", "--window", "0.5", "--hop", "0.1", "--threshold", "0.55", "--workers", "0")
FLAGS = (*FLAGS, "--set", "off_threshold=0.4", "--set", "min_gap=0.2")


@pytest.fixture(scope="module")
def swinging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "swinging.safetensors"
    save(spread(make_model(clip_seconds=0.5)), path, {"recipe": "none", "licence": "CC0"})
    return path


@pytest.fixture
def clips(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / "one.wav", tmp_path / "bad.wav", tmp_path / "two.wav"]
    for seed, path in enumerate(paths):
        soundfile.write(path, sound(3.0 + seed, seed), RATE, subtype="FLOAT")
    paths[1].write_bytes(b"RIFF")
    return paths


@pytest.fixture
def events(swinging, clips) -> list[dict]:
    """What the command shall give, by the way of Python."""
    model = load(str(swinging))
    found = [find_events(path, model=model, settings=ASKED, workers=0) for path in (clips[0], clips[2])]
    assert all(len(result.events) > 1 for result in found)
    return [
        {"path": result.path, "onset": round(event.onset, 6), "offset": round(event.offset, 6),
         "label": event.label, "peak": event.peak, "mean": event.mean}
        for result in found
        for event in result.events
    ]  # fmt: skip


def test_rows_are_those_of_python_and_a_bad_file_is_one(called, swinging, clips, events, tmp_path):
    status, said, told = called("tag", *clips, *FLAGS, "--model", swinging, "--format", "jsonl")
    rows = [json.loads(line) for line in said.splitlines()]
    assert status == 1
    assert "bad.wav" in told
    assert [row for row in rows if "error" not in row] == events
    assert [row["path"] for row in rows if "error" in row] == [str(clips[1])]
    status, *_ = called("tag", *clips, *FLAGS, "--model", swinging, "--out", tmp_path / "events.csv")
    assert status == 1
    lines = list(csv.DictReader(io.StringIO((tmp_path / "events.csv").read_text())))
    good = [line for line in lines if not line["error"]]
    assert [(line["label"], float(line["onset"]), float(line["peak"])) for line in good] == [
        (event["label"], event["onset"], event["peak"]) for event in events
    ]
    assert len(lines) == len(good) + 1


def test_audacity_and_raven_read_the_same_events(called, earmark, swinging, clips, events, tmp_path):
    out = tmp_path / "labels.txt"
    called("tag", clips[0], *FLAGS, "--model", swinging, "--format", "audacity", "--out", out)
    own = [event for event in events if event["path"] == str(clips[0])]
    assert out.read_text().splitlines() == [f"{e['onset']:.6f}\t{e['offset']:.6f}\t{e['label']}" for e in own]
    said = earmark("tag", *clips, *FLAGS, "--model", swinging, "--format", "raven").stdout.decode()
    rows = list(csv.DictReader(io.StringIO(said), delimiter="\t"))
    assert tuple(rows[0]) == RAVEN
    assert [int(row["Selection"]) for row in rows] == list(range(1, len(events) + 1))
    for row, event in zip(rows, events, strict=True):
        before = 0.0 if event["path"] == str(clips[0]) else 3.0
        assert (row["Begin Path"], row["Label"]) == (event["path"], event["label"])
        assert float(row["File Offset (s)"]) == pytest.approx(event["onset"])
        assert float(row["Begin Time (s)"]) == pytest.approx(event["onset"] + before)
        assert float(row["End Time (s)"]) == pytest.approx(event["offset"] + before)
        assert 0 == float(row["Low Freq (Hz)"]) < float(row["High Freq (Hz)"]) == RATE / 2


def test_a_finished_run_is_not_added_to(called, swinging, clips, events, tmp_path):
    out = tmp_path / "out.jsonl"
    call = ("tag", clips[0], clips[2], *FLAGS, "--model", swinging, "--out", out)
    assert called(*call)[0] == 0
    assert [json.loads(line) for line in out.read_text().splitlines()] == events
    status, _, told = called(*call, "--resume")
    assert (status, "is finished" in told) == (2, True)


def test_people_read_onset_offset_and_label(called, swinging, clips, events):
    _, said, _ = called("tag", clips[0], *FLAGS, "--model", swinging)
    first, second = said.splitlines()[:2]
    assert first.endswith("events")
    assert second.split()[0] == f"{events[0]['onset']:.2f}"
    assert events[0]["label"] in second


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--events", "--top", "3"], "--top is of tags"),
        (["--set", "min_gap=1"], "add --events"),
        (["--format", "raven"], "add --events"),
        (["--events", "--out", "x.parquet"], "does not say a format"),
        (["--events", "--format", "parquet", "--out", "x"], "cannot be written as parquet"),
        (["--events", "--set", "mingap=1"], "did you mean 'min_gap'"),
        (["--events", "--window", "1", "--hop", "2"], "at most the window"),
        (["--events", "--threshold", "0.2", "--set", "off_threshold=0.4"], "at most the threshold"),
    ],
)
def test_an_impossible_call_is_a_sentence(called, clips, flags, words, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    status, _, told = called("tag", clips[0], *flags)
    assert status == 2
    assert words in told
    assert told.count("\n") == 1
