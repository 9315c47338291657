import multiprocessing
import os
import time
from pathlib import Path

import pytest

from earmark.config import ConfigError
from earmark.inference.journal import FRAME, Journal, OutputError, Record, part_of

SETTINGS = {"top": 5, "model": "builtin"}


def written(out: Path, count: int) -> bytes:
    with Journal(out, SETTINGS, resume=False) as journal:
        for index in range(count):
            journal.append(Record({"path": f"{index}.wav"}, bytes(index)))
    return journal.part.read_bytes()


def test_any_cut_leaves_whole_records(tmp_path):
    out = tmp_path / "out.jsonl"
    whole = written(out, 4)
    counts = []
    for length in range(len(whole) + 1):
        (tmp_path / "out.jsonl.part").write_bytes(whole[:length])
        with Journal(out, SETTINGS, resume=True) as journal:
            count = journal.done.total()
            journal.append(Record({"path": "next.wav"}))
            paths = [record.head["path"] for record in journal.records()]
        assert paths == [f"{index}.wav" for index in range(count)] + ["next.wav"]
        counts.append(count)
    assert counts == sorted(counts)
    assert set(counts) == {0, 1, 2, 3, 4}


def test_a_flipped_bit_ends_the_log(tmp_path):
    out = tmp_path / "out.jsonl"
    whole = bytearray(written(out, 3))
    whole[-FRAME.size] ^= 1
    (tmp_path / "out.jsonl.part").write_bytes(whole)
    with Journal(out, SETTINGS, resume=True) as journal:
        assert journal.done.total() == 2


def test_other_settings_are_refused_by_name(tmp_path):
    out = tmp_path / "out.jsonl"
    before = written(out, 3)
    with pytest.raises(ConfigError, match="begun with top=5, this run has top=3"):
        Journal(out, {**SETTINGS, "top": 3}, resume=True)
    assert (tmp_path / "out.jsonl.part").read_bytes() == before


def test_without_resume_the_log_begins_anew_with_the_first_record(tmp_path):
    out = tmp_path / "out.jsonl"
    before = written(out, 3)
    with Journal(out, {"top": 3}, resume=False) as journal:
        assert journal.part.read_bytes() == before
        journal.append(Record({"path": "x.wav"}))
        assert [record.head["path"] for record in journal.records()] == ["x.wav"]


def test_a_kill_while_an_earlier_output_is_taken_over_loses_nothing(tmp_path):
    out = tmp_path / "out.jsonl"
    earlier = [Record({"path": f"{index}.wav"}) for index in range(3)]
    with Journal(out, SETTINGS, resume=True) as journal:
        journal.begin(earlier)
    part = tmp_path / "out.jsonl.part"
    part.write_bytes(part.read_bytes()[:-3])
    with Journal(out, SETTINGS, resume=True) as journal:
        assert not journal.found
        assert not journal.done


def test_two_runs_cannot_write_one_file(tmp_path):
    out = tmp_path / "out.jsonl"
    with Journal(out, SETTINGS, resume=False), pytest.raises(OutputError, match="another run is writing it"):
        Journal(out, SETTINGS, resume=False)
    Journal(out, SETTINGS, resume=False).close()


@pytest.mark.parametrize(("path", "words"), [("no/out.csv", "no such file"), (".", "is a folder")])
def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path, path, words):
    with pytest.raises(OutputError, match=words):
        Journal(tmp_path / path, SETTINGS, resume=False)


def append_and_wait(out: Path) -> None:
    with Journal(out, SETTINGS, resume=False) as journal:
        for index in range(20):
            journal.append(Record({"path": f"{index}.wav"}))
        out.write_text("appended")
        time.sleep(60)


def test_what_was_appended_survives_the_kill_of_its_process(tmp_path):
    out = tmp_path / "out.jsonl"
    process = multiprocessing.get_context("fork").Process(target=append_and_wait, args=(out,))
    process.start()
    limit = time.monotonic() + 30
    while not out.exists():
        assert time.monotonic() < limit
        time.sleep(0.01)
    process.kill()
    process.join()
    with Journal(out, SETTINGS, resume=True) as journal:
        assert journal.done.total() == 20


def test_a_log_that_nothing_was_written_to_goes(tmp_path):
    with Journal(tmp_path / "out.jsonl", SETTINGS, resume=False):
        assert list(tmp_path.iterdir())
    assert not list(tmp_path.iterdir())


def test_a_pipe_or_a_device_is_no_place_for_output(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for out in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(OutputError, match="no regular file"):
            Journal(out, SETTINGS, resume=False)
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]


def test_two_names_of_one_file_have_one_log(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "deep" / "out.jsonl")
    assert part_of(tmp_path / "link") == part_of(tmp_path / "deep" / "out.jsonl")


def test_the_longest_name_that_a_file_can_have_has_a_log_too(tmp_path):
    out = tmp_path / ("n" * 249 + ".jsonl")
    assert written(out, 2)
    with Journal(out, SETTINGS, resume=True) as journal:
        assert journal.done.total() == 2
