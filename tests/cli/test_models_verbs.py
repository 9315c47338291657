"""`earmark models`, `import` and `show`, as people type them."""

import json
from pathlib import Path

import pytest
import torch

from earmark.encoders import PaSST
from earmark.encoders.passt_weights import published_state
from earmark.inference.digest import weights_digest
from earmark.models import LinearHead
from earmark.models.catalog import ENSEMBLES, PUBLISHED


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "kept"))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "kept"


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = PaSST(max_frames=112, stride=(16, 16), dim=64, depth=1, heads=1)
    head = LinearHead(carry_distillation=True).build(64, 64, 20)
    torch.save(published_state(config.build().state_dict(), head.state_dict()), tmp_path / "net.pt")
    return tmp_path / "net.pt"


@pytest.fixture
def earmark(called):
    return called


def test_weights_are_imported_tag_and_are_listed(earmark, weights: Path, kept: Path, folder: Path) -> None:
    status, out, err = earmark("import", weights, "--as", "mine", "--set", "clip_seconds=0.5")
    assert (status, err) == (0, "")
    assert "Recognized: PaSST" in out
    assert "20 classes (accordion, banjo, bass, ...)" in out
    assert "LogMel, 32000 Hz, 128 bands, a frame each 10 ms" in out
    assert "Weights do not tell the names of the classes" in out
    assert f"Kept in {kept / 'models' / 'mine.safetensors'}" in out
    assert "earmark tag --model mine FILE" in out
    sound = sorted(folder.iterdir())[0]
    status, out, _ = earmark("tag", sound, "--model", "mine", "--format", "jsonl", "--top", "20")
    assert status == 0
    assert "mallet_percussion" in out
    status, out, _ = earmark("models")
    assert "  mine" in out.partition("Imported")[2]
    status, out, _ = earmark("show", "mine")
    assert "imported_from: net.pt" in out
    assert "clip_seconds: 0.5" in out


def test_weights_are_converted_to_a_file(earmark, weights: Path, kept: Path, tmp_path: Path) -> None:
    status, out, _ = earmark("import", weights, "--out", "net.safetensors")
    assert status == 0
    assert "--model net.safetensors" in out
    assert (tmp_path / "net.safetensors").stat().st_size > 10_000
    assert not kept.exists()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("import", "none.pt"), "none.pt: cannot be opened (No such file or directory)"),
        (("import", "net.pt", "--as", "../x"), "is no name for a model"),
        (("import", "net.pt", "--as", "builtin"), "'builtin' is the name of another model"),
        (("import", "net.pt", "--as", "x", "--out", "x.safetensors"), "give one of the two"),
        (("import", "net.pt", "--set", "nonsense"), "'nonsense' is no assignment"),
        (("import", "sound.wav"), "sound.wav: is not a safetensors file"),
        (("import",), "requires an argument"),
        (("show", "passt-s.as2m-swaa"), "did you mean 'passt-s.as2m-swa'?"),
        (("show", "sound.wav"), "sound.wav: is not a safetensors file"),
    ],
)
def test_a_wrong_call_is_one_line_and_status_2(
    arguments: tuple[str, ...], words: str, earmark, weights: Path, kept: Path, tmp_path: Path
) -> None:
    (tmp_path / "sound.wav").write_bytes(b"RIFF" + bytes(100))
    status, out, err = earmark(*arguments)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert not kept.exists()


def test_published_weights_are_described_as_what_they_are(earmark, weights: Path) -> None:
    status, out, _ = earmark("show", weights)
    assert status == 0
    assert all(word in out for word in ("kind: PaSST", "hop_length: 320", "recognized: PaSST", "accordion"))


def test_a_published_model_is_described_without_being_fetched(earmark, kept: Path) -> None:
    status, out, _ = earmark("show", "passt-s.as2m-swa")
    assert status == 0
    assert "0.476" in out
    assert "will be fetched when it is used" in out
    assert not kept.exists()


def test_an_ensemble_is_described_by_its_members(earmark) -> None:
    status, out, _ = earmark("show", ENSEMBLES[0].name)
    assert status == 0
    assert all(member in out for member in ENSEMBLES[0].members)


def test_the_list_is_as_wide_as_a_terminal_and_has_all_of_them(earmark) -> None:
    status, out, _ = earmark("models")
    lines = out.splitlines()
    assert status == 0
    assert max(map(len, lines)) <= 100
    names = [line.split()[0] for line in lines if line.startswith("  ")]
    assert names == ["name", "builtin", *(entry.name for entry in (*PUBLISHED, *ENSEMBLES))]
    assert "PaSST, github.com, Apache-2.0" in lines


def test_the_list_for_programs_is_one_json_list(earmark) -> None:
    status, out, _ = earmark("models", "--json")
    rows = {row["name"]: row for row in json.loads(out)}
    assert status == 0
    assert rows["passt-s.openmic"]["sha256"].startswith("dc229428")
    assert rows["passt-s.as2m-swa"]["url"].endswith("/v0.0.1-audioset/passt-s-f128-p16-s10-ap.476-swa.pt")
    assert rows["passt-s.as2m-swa"]["score"] == 0.476
    assert rows["builtin"]["license"]


def test_a_run_is_bound_to_the_weights_behind_a_name(earmark, weights: Path) -> None:
    assert weights_digest("mine") is None
    assert earmark("import", weights, "--as", "mine")[0] == 0
    first = weights_digest("mine")
    assert earmark("import", weights, "--as", "mine", "--set", "clip_seconds=0.5")[0] == 0
    other = weights_digest("mine")
    assert first != other
    assert weights_digest("mine,builtin") == f"{other} {weights_digest('builtin')}"
