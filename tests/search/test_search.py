"""Stored embeddings: read back, searched, and never compared with those of another model."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.audio import AudioError
from earmark.cli import main
from earmark.config import ConfigError
from earmark.encoders import ResidualCNN
from earmark.frontends import LogMel
from earmark.labels import LabelSet
from earmark.models import TaggerConfig, save
from earmark.search import exact
from earmark.search.asking import Asker
from earmark.search.exact import nearest
from earmark.search.shelf import FileShelf
from earmark.search.stored import read_stored

RATE = 32000
CONFIG = TaggerConfig(
    frontend=LogMel(n_mels=32, fmax_jitter=1),
    encoder=ResidualCNN(n_bands=32, widths=(8,), stem=8),
    labels=LabelSet(names=("a", "b")),
    clip_seconds=0.5,
)


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, a folder of tones, three embedding files of it, and a tone that is not among them."""
    folder = tmp_path_factory.mktemp("search")
    torch.manual_seed(0)
    save(CONFIG.build(), folder / "model.safetensors")
    (folder / "tones").mkdir()
    for name, hertz in {"low1": 210, "low2": 220, "high1": 4000, "high2": 4100}.items():
        wave = 0.3 * np.sin(2 * np.pi * hertz * np.arange(RATE) / RATE)
        soundfile.write(folder / "tones" / f"{name}.wav", wave, RATE)
    soundfile.write(folder / "new.wav", 0.3 * np.sin(2 * np.pi * 215 * np.arange(RATE) / RATE), RATE)
    (folder / "tones" / "bad.wav").write_bytes(b"RIFF")
    for form in ("npz", "parquet", "safetensors"):
        given = ("--model", str(folder / "model.safetensors"), "--layer", "bands", "--layer", "0")
        assert command("embed", str(folder / "tones"), "--out", str(folder / f"e.{form}"), *given) == 1
    return folder


@pytest.mark.parametrize("form", ["npz", "parquet", "safetensors"])
def test_every_form_is_read_back_with_the_model_that_made_it(room: Path, form: str) -> None:
    stored = read_stored(room / f"e.{form}")
    assert [Path(path).stem for path in stored.paths] == ["high1", "high2", "low1", "low2"]
    assert stored.ends.tolist() == [1.0] * 4
    assert np.array_equal(stored.vectors, read_stored(room / "e.npz").vectors)
    assert stored.about["model"] == str(room / "model.safetensors")
    assert stored.about["layer"] == ["bands", 0]


@pytest.mark.parametrize("query", ["tones/low1.wav", "new.wav"])
def test_a_tone_is_nearest_to_the_tones_of_its_pitch_and_not_to_itself(room: Path, query: str) -> None:
    found = Asker(FileShelf(read_stored(room / "e.parquet"))).like(str(room / query), 2)
    names = [Path(one.path).stem for one in found]
    assert names[0] in ("low1", "low2")
    assert Path(query).stem not in names


def test_the_command_gives_rows_and_goes_on_after_a_bad_query(
    room: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    queries = [str(room / "gone.wav"), str(room / "new.wav")]
    assert command("similar", str(room / "e.npz"), *queries, "--top", "2", "--json") == 1
    told = capsys.readouterr()
    rows = [json.loads(line) for line in told.out.splitlines()]
    assert sorted(Path(row["path"]).stem for row in rows) == ["low1", "low2"]
    assert [row["query"] for row in rows] == queries[1:] * 2
    assert rows[0]["similarity"] >= rows[1]["similarity"] > 0.9
    assert "gone.wav: there is no such file" in told.err


def test_vectors_of_other_weights_are_never_compared(room: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    save(CONFIG.build(), tmp_path / "other.safetensors")
    stored = read_stored(room / "e.npz")
    with pytest.raises(ConfigError, match="has other weights"):
        Asker(FileShelf(stored), str(tmp_path / "other.safetensors"))
    renamed = stored._replace(about=stored.about | {"model": str(tmp_path / "other.safetensors")})
    with pytest.raises(ConfigError, match="has other weights today"):
        Asker(FileShelf(renamed)).like(str(room / "new.wav"), 1)
    silent = stored._replace(about={})
    assert len(Asker(FileShelf(silent)).like(stored.paths[0], 9)) == 3
    with pytest.raises(ConfigError, match="do not say which model made them"):
        Asker(FileShelf(silent)).like(str(room / "new.wav"), 1)
    with pytest.raises(ConfigError, match="the same model made"):
        Asker(FileShelf(silent), str(room / "model.safetensors")).like(str(room / "new.wav"), 1)
    with pytest.raises(AudioError, match="no such file"):
        Asker(FileShelf(stored)).like("gone.wav", 1)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"PAR1"])
@pytest.mark.parametrize("form", ["npz", "parquet", "safetensors"])
def test_a_damaged_file_is_one_sentence(tmp_path: Path, form: str, content: bytes) -> None:
    path = tmp_path / f"bad.{form}"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"bad.{form}: are no embeddings"):
        read_stored(path)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 40), st.integers(1, 4), st.integers(1, 50), st.integers(0, 2**32 - 1))
def test_blocks_find_what_sorting_all_finds(rows: int, queries: int, top: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors, wanted = rng.normal(size=(rows, 3)), rng.normal(size=(queries, 3))
    whole = exact.unit(wanted) @ exact.unit(vectors).T
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "BLOCK", 7)
        found = nearest(vectors, wanted, top)
    assert found.rows.shape == (queries, min(top, rows))
    assert np.allclose(found.similarities, -np.sort(-whole, axis=1)[:, :top])
    assert np.allclose(np.take_along_axis(whole, found.rows, axis=1), found.similarities)


def test_a_model_that_has_moved_is_told_from_one_that_changed(room: Path) -> None:
    stored = read_stored(room / "e.npz")
    moved = stored._replace(about=stored.about | {"model": "gone.safetensors"})
    with pytest.raises(ConfigError, match=r"there is no model gone\.safetensors here any more"):
        Asker(FileShelf(moved)).like(str(room / "new.wav"), 1)
    assert Asker(FileShelf(moved), str(room / "model.safetensors")).like(str(room / "new.wav"), 1)


def test_a_stored_sound_is_known_under_any_spelling(room: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = read_stored(room / "e.npz")
    here = stored._replace(paths=[str(Path(path).relative_to(room)) for path in stored.paths], about={})
    monkeypatch.chdir(room)
    for spelling in ("tones/low1.wav", "./tones/low1.wav", "tones/../tones/low1.wav"):
        assert Path(Asker(FileShelf(here)).like(spelling, 1)[0].path).stem == "low2"


def test_embeddings_of_other_weights_are_not_mixed_by_resuming(room: Path, tmp_path: Path) -> None:
    torch.manual_seed(1)
    save(CONFIG.build(), tmp_path / "other.safetensors")
    out = str(tmp_path / "e.parquet")
    sound, other = str(room / "new.wav"), str(room / "tones" / "low1.wav")
    assert command("embed", sound, "--out", out, "--model", str(room / "model.safetensors")) == 0
    again = ("embed", sound, other, "--out", out, "--resume", "--model")
    assert command(*again, str(tmp_path / "other.safetensors")) == 2
    assert command(*again, str(room / "model.safetensors")) == 0
    assert len(read_stored(tmp_path / "e.parquet").paths) == 2
