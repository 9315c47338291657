import json
import os
import subprocess
import sys

import pytest

from earmark.labels import LabelSet
from earmark.models import save
from inference.sounds import make_model


def test_help_comes_without_torch():
    code = """
import io, sys
from contextlib import redirect_stdout
from earmark.cli import main
for call in ("--help", "--version", "tag --help", "embed --help", "show --help", "train --help"):
    try:
        with redirect_stdout(io.StringIO()) as said:
            main(call.split())
    except SystemExit as ended:
        print(call, ended.code, bool(said.getvalue()), "torch" in sys.modules, sep=", ")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    answers = [line.split(", ") for line in done.stdout.splitlines()]
    assert [call for call, *_ in answers] == [
        *("--help", "--version", "tag --help", "embed --help", "show --help", "train --help")
    ]
    assert {tuple(answer) for _, *answer in answers} == {("0", "True", "False")}
    assert done.stderr == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["tag"], "requires an argument"),
        (["tag", "a.wav", "--tpo", "3"], "Did you mean --top?"),
        (["tag", "a.wav", "--top", "many"], "unable to convert"),
        (["tag", "a.wav", "--top", "0"], "top is 0; give 1 or more"),
        (["tag", "a.wav", "--hop", "1"], "no window is given"),
        (["tag", "a.wav", "--out", "x.doc"], "end it in one of .txt"),
        (["tag", "a.wav", "--resume"], "--resume needs --out FILE"),
        (["tag", "a.wav", "--format", "parquet"], "parquet needs --out FILE"),
        (["embed", "a.wav", "--out", "x.csv"], "end it in one of .npz"),
        (["sing"], "Unknown command"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(arguments, words, capfd):
    from earmark.cli import main

    with pytest.raises(SystemExit) as ended:
        main(arguments)
    out, err = capfd.readouterr()
    assert ended.value.code == 2
    assert out == ""
    assert err.startswith("earmark: ")
    assert err.count("\n") == 1
    assert words in err


def test_a_model_is_described(earmark, checkpoint):
    done = earmark("show", checkpoint)
    text = done.stdout.decode()
    assert done.returncode == 0
    assert all(word in text for word in ("LogMel", "ResidualCNN", "Dog", "licence: CC0", "parameters"))


def test_an_unknown_model_is_a_wrong_call(earmark, folder):
    done = earmark("tag", folder, "--model", "nonesuch")
    assert done.returncode == 2
    assert b"no model 'nonesuch'" in done.stderr


def test_a_dash_behind_out_is_standard_output(earmark, checkpoint, folder, work):
    done = earmark("tag", folder / "sound000.wav", "--model", checkpoint, "--format", "jsonl", "--out", "-")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["path"].endswith("sound000.wav")
    assert not list(work.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(["--top", "-"], b'unable to convert "-"'), (["--resume", "--out", "-"], b"--resume needs --out FILE")],
)
def test_a_dash_where_it_means_nothing_is_a_wrong_call(earmark, arguments, words):
    done = earmark("tag", "a.wav", *arguments)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert words in done.stderr


def full_output():
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def test_a_full_disk_under_a_description_is_a_sentence(earmark, checkpoint):
    done = earmark("show", checkpoint, before=full_output)
    assert done.returncode == 74
    assert done.stderr == b"earmark: reading or writing failed: no space left on device\n"


def test_labels_cannot_drive_the_terminal(earmark, work):
    model = make_model().config.replace(labels=LabelSet(names=("Dog\x1b[2J",))).build()
    save(model, work / "evil.safetensors", {"title\x9b": "a\x07b"})
    done = earmark("show", "evil.safetensors")
    assert b"Dog\\x1b[2J" in done.stdout
    assert not {"\x1b", "\x9b", "\x07"} & set(done.stdout.decode())


def test_an_unknown_model_leaves_nothing_behind(earmark, folder, work):
    assert earmark("tag", folder, "--model", "nonesuch", "--out", "out.csv").returncode == 2
    assert not list(work.iterdir())


def test_a_recording_is_never_replaced_by_its_own_tags(earmark, checkpoint, folder):
    sound = folder / "sound000.wav"
    before = sound.read_bytes()
    done = earmark("tag", sound, "--model", checkpoint, "--out", sound, "--format", "jsonl")
    assert done.returncode == 2
    assert b"give another --out" in done.stderr
    assert sound.read_bytes() == before


def test_a_table_and_the_files_that_it_names_are_never_replaced(earmark, checkpoint, folder):
    table, sound = folder / "clips.csv", folder / "sound000.wav"
    table.write_text(f"file,end\n{sound.name},0.2\n")
    before = table.read_bytes(), sound.read_bytes()
    for out in (table, sound):
        done = earmark("tag", table, "--model", checkpoint, "--out", out, "--format", "csv")
        assert done.returncode == 2
        assert b"give another --out" in done.stderr
    assert (table.read_bytes(), sound.read_bytes()) == before


def test_one_file_at_an_address_is_no_output(earmark, checkpoint, folder):
    done = earmark("tag", folder, "--model", checkpoint, "--out", "s3://bucket/tags.csv")
    assert done.returncode == 2
    assert b"s3://bucket/tags.csv is an address" in done.stderr
