import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["tag", "--help"], ["embed", "--help"], ["show", "--help"]]
)
def test_help_comes_without_torch(arguments):
    code = f"""
import sys
from earmark.cli import main
try:
    main({arguments!r})
finally:
    sys.stderr.write(str("torch" in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "False")
    assert done.stdout


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
