import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time

import numpy as np
import psutil
import pytest
import soundfile

from audio.odd import make_all
from earmark.audio import displayable
from earmark.inference import tagging
from earmark.inference.arrays import read_parquet
from earmark.inference.journal import Journal, Record
from earmark.inference.tables import read_jsonl
from earmark.inference.tables import read_parquet as read_tags
from earmark.inference.tables import rows as json_rows
from earmark.models import save
from inference.sounds import make_model


def rows(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def like(found, expected):
    """The same rows, scores to the digits that batches of another shape may change."""
    assert [{k: v for k, v in row.items() if k != "tags"} for row in found] == [
        {k: v for k, v in row.items() if k != "tags"} for row in expected
    ]
    for one, other in zip(found, expected, strict=True):
        scores = [{tag["label"]: tag["score"] for tag in row.get("tags", [])} for row in (one, other)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-5)


def test_a_folder_with_bad_and_oddly_named_files_is_done(earmark, checkpoint, folder):
    (folder / "bad.wav").write_bytes(b"RIFF")
    (folder / "notes.txt").write_text("not a sound")
    os.link(folder / "sound000.wav", os.fsencode(folder) + b"/odd\xff\nname.wav")
    done = earmark("tag", folder, "missing.wav", "--model", checkpoint, "--format", "jsonl", "--top", "2")
    found = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert done.returncode == 1
    names = ["bad.wav", "odd\\xff\nname.wav"] + [f"sound00{index}.wav" for index in range(8)]
    assert [row["path"] for row in found] == [f"{folder}/{name}" for name in names] + ["missing.wav"]
    assert [set(row) for row in found[:2]] == [{"path", "error"}, {"path", "start", "end", "tags"}]
    told = done.stderr.decode().splitlines()
    assert told[0].startswith(f"earmark: {folder}/bad.wav: ")
    assert told[1:] == [
        "earmark: missing.wav: there is no such file or folder",
        "earmark: 1 file in folders is no audio and was passed over",
    ]


def test_standard_input_is_heard(earmark, checkpoint, folder):
    done = earmark(
        "tag", "-", "--model", checkpoint, "--window", "0.2", given=(folder / "sound000.wav").read_bytes()
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode().splitlines()[0] == "-  0:00.3"
    assert b"0:00.2 - 0:00.3" in done.stdout


def test_a_closed_pipe_ends_quietly(checkpoint, folder):
    call = [sys.executable, "-m", "earmark", "tag", *[folder] * 4, "--model", checkpoint, "--batch", "1"]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(60) == 0


def test_a_full_disk_under_standard_output_is_status_74(earmark, checkpoint, folder):
    done = earmark("tag", folder, "--model", checkpoint, before=full_output)
    assert done.returncode == 74
    assert b"no space left" in done.stderr


def full_output():
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def little_room():
    # Python 3.11 leaves cut .pyc files behind where room is short; whoever imports them next fails.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1500, resource.RLIM_INFINITY))


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_a_stopped_run_is_resumed_without_loss_or_repetition(
    start, earmark, checkpoint, folder, work, number
):
    call = ("tag", *[folder] * 25, "--model", checkpoint, "--batch", "1", "--out")
    out = work / "out.jsonl"
    out.write_text("old")
    process = start(*call, out)
    part = work / "out.jsonl.part"
    limit = time.monotonic() + 60
    while not (part.exists() and part.stat().st_size > 2000):
        assert time.monotonic() < limit
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(number)
    stopped = process.end()
    expected = {signal.SIGKILL: -9, signal.SIGINT: 130, signal.SIGTERM: 143}[number]
    assert stopped.returncode == expected
    assert out.read_text() == "old"
    assert part.exists()
    if number != signal.SIGKILL:
        assert b"--resume goes on" in stopped.stderr
        assert stopped.stderr.count(b"\n") == 1
    done = earmark(*call, out, "--resume")
    assert (done.returncode, done.stderr) == (0, b"")
    assert not part.exists()
    once = [f"{folder}/sound00{index}.wav" for index in range(8)]
    assert [row["path"] for row in rows(out)] == once * 25
    like(rows(out)[-8:], rows(out)[:8])
    assert [path.name for path in work.iterdir()] == ["out.jsonl"]


@pytest.mark.parametrize("name", ["out.jsonl", pytest.param("out.parquet", marks=pytest.mark.slow)])
def test_a_finished_output_is_added_to(earmark, checkpoint, folder, work, name):
    first, *others = sorted(folder.iterdir())
    few = (first, first, *others[:2])
    call = ("--model", checkpoint, "--top", "3", "--out", name)
    read = {"out.jsonl": read_jsonl, "out.parquet": read_tags}[name]
    assert earmark("tag", *few, *call).returncode == 0
    assert earmark("tag", first, first, folder, *call, "--resume").returncode == 0
    resumed = list(read(work / name))
    assert [result.path for result in resumed] == [str(path) for path in (*few, first, *others[2:])]
    assert earmark("tag", *few, first, *others[2:], *call).returncode == 0
    fresh = list(read(work / name))
    like(*([row for result in results for row in json_rows(result)] for results in (resumed, fresh)))


def test_what_another_model_or_other_settings_gave_is_not_added_to(earmark, checkpoint, folder, work):
    call = ("tag", folder, "--model", "model.safetensors", "--out", "out.jsonl")
    save(make_model(), work / "model.safetensors")
    assert earmark(*call, "--top", "3").returncode == 0
    before = (work / "out.jsonl").read_bytes()
    done = earmark(*call, "--top", "2", "--resume")
    assert done.returncode == 2
    assert b"3 tags in a row, and 2 are asked for; resume with the model" in done.stderr
    assert sorted(path.name for path in work.iterdir()) == ["model.safetensors", "out.jsonl"]
    assert (work / "out.jsonl").read_bytes() == before


def test_a_run_is_not_resumed_with_other_weights_of_the_same_name(start, earmark, folder, work):
    model = work / "model.safetensors"
    call = ("tag", *[folder] * 25, "--model", model, "--batch", "1", "--out", "out.jsonl")
    save(make_model(), model)
    process = start(*call)
    part = work / "out.jsonl.part"
    while not (part.exists() and part.stat().st_size > 1000):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    assert process.end().returncode == 143
    save(make_model("zeros"), model)
    done = earmark(*call, "--resume")
    assert done.returncode == 2
    assert b"was begun with model_digest=" in done.stderr


def test_embeddings_are_written_and_resumed(earmark, checkpoint, folder, work):
    call = ("--model", checkpoint, "--level", "frame", "--out")
    assert earmark("embed", folder, *call, "whole.parquet").returncode == 0
    assert earmark("embed", *sorted(folder.iterdir())[:5], *call, "parts.parquet").returncode == 0
    assert earmark("embed", folder, *call, "parts.parquet", "--resume").returncode == 0
    for one, other in zip(
        read_parquet(work / "whole.parquet"), read_parquet(work / "parts.parquet"), strict=True
    ):
        assert one.path == other.path
        np.testing.assert_array_equal(one.starts, other.starts)
        np.testing.assert_allclose(one.embeddings, other.embeddings, atol=1e-4)


def test_a_full_disk_leaves_the_old_output_and_a_sentence(earmark, checkpoint, folder, work):
    out = work / "out.jsonl"
    out.write_text("old")
    done = earmark("tag", folder, "--model", checkpoint, "--out", out, before=little_room)
    assert done.returncode == 74
    assert b"out.jsonl" in done.stderr
    assert b"file too large" in done.stderr
    assert out.read_text() == "old"
    assert earmark("tag", folder, "--model", checkpoint, "--out", out, "--resume").returncode == 0
    assert len(rows(out)) == 8


def test_a_folder_that_is_missing_is_said_before_any_work(earmark, folder):
    done = earmark("tag", folder, "--model", "nonesuch", "--out", "no/such/out.csv")
    assert done.returncode == 74
    assert b"cannot be written: no such file or directory" in done.stderr


def test_a_resume_with_other_settings_is_refused(earmark, checkpoint, folder, work):
    with Journal(work / "out.csv", {"verb": "tag", "top": 3}, resume=False) as journal:
        journal.append(Record({"path": "x.wav"}))
    done = earmark("tag", folder, "--model", checkpoint, "--out", "out.csv", "--resume")
    assert done.returncode == 2
    assert b"top=3" in done.stderr
    assert (work / "out.csv.part").exists()


def chatty_model():
    real = tagging.ready_to_tag

    def chatty(*arguments):
        os.write(1, b"from C\n")
        print("from Python", flush=True)
        return real(*arguments)

    tagging.ready_to_tag = chatty


def test_output_for_machines_is_not_mixed_with_what_libraries_print(earmark, checkpoint, folder):
    call = ("tag", folder / "sound000.wav", "--model", checkpoint, "--format", "json")
    done = earmark(*call, before=chatty_model)
    assert len(json.loads(done.stdout)) == 1
    assert done.stderr == b"from C\nfrom Python\n"


def test_a_folder_of_odd_files_gives_the_stated_answer_for_each(earmark, checkpoint, tmp_path):
    odd = tmp_path / "odd"
    odd.mkdir()
    files = [file for file in make_all(odd) if os.path.lexists(file.path)]
    done = earmark("tag", odd, "--model", checkpoint, "--format", "jsonl", "--workers", "1")
    answers = {
        row["path"]: "error" if "error" in row else "ok" for row in map(json.loads, done.stdout.splitlines())
    }
    expected = {displayable(file.path): file.expect for file in files}
    wrong = {path: (answers[path], expected[path]) for path in answers if answers[path] != expected[path]}
    assert not wrong
    silent = {
        path for path in expected.keys() - answers.keys() if expected[path] == "ok" or path.endswith(".wav")
    }
    assert not silent
    assert len(answers) > 100
    assert done.returncode == 1


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length_of_a_file(start, checkpoint, tmp_path):
    peaks = []
    for minutes in (2, 20):
        path = tmp_path / f"{minutes}.flac"
        with soundfile.SoundFile(path, "w", 16000, 1) as file:
            for _ in range(minutes):
                file.write(np.random.default_rng(0).normal(0, 0.1, 16000 * 60).astype(np.float32))
        running = start("tag", path, "--model", checkpoint)
        peak = 0
        while running.poll() is None:
            with contextlib.suppress(psutil.Error):
                peak = max(peak, psutil.Process(running.pid).memory_info().rss)
            time.sleep(0.02)
        assert running.end().returncode == 0
        peaks.append(peak)
    assert peaks[1] < peaks[0] + 64 * 1024**2
