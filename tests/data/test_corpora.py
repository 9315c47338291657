import os
from pathlib import Path

import pytest

from earmark.config import ConfigError
from earmark.data import ESC50, BuiltinMix
from earmark.data.builtin import INSTRUMENTS, read_licences
from earmark.data.clips import read_rows
from earmark.data.esc50 import NAMES

DATA = os.environ.get("EARMARK_DATA")
REAL = pytest.mark.skipif(not DATA, reason="EARMARK_DATA is unset: no real corpora here")

ATTRIBUTIONS = """# ESC-50
101 - Dog:
- [1-100032-A.ogg]: clip derived from rose_bark.wav (http://x/y/) by nfrae [CC0]
- [1-17970-A.ogg]: clip derived from [odd] name.wav (http://x/z/) by someone [CC-BY-NC]
- [2-1-A.ogg]: clip derived from c.wav (http://x/w/) by other [CC-BY]
- [2-2-A.ogg]: clip derived from d.wav (http://x/v/) by other [CC-Sampling+]
"""


@pytest.fixture
def mix(tmp_path: Path) -> Path:
    """The layout of the three corpora, without audio."""
    esc, instruments, digits = (tmp_path / n for n in ("esc50_16k", "gm_instruments_multilabel", "fsdd"))
    for root in (esc, instruments, digits):
        (root / "audio").mkdir(parents=True)
    (esc / "LICENSE_and_attributions.txt").write_text(ATTRIBUTIONS)
    rows = ["1-100032-A-0.ogg,1,0", "1-17970-A-1.ogg,1,1", "2-1-A-2.ogg,2,2", "2-2-A-3.ogg,2,3"]
    (esc / "esc50.csv").write_text("\n".join(["filename,fold,target", *rows]))
    lines = ["filename,split,labels", "a.ogg,train,piano;voice", "b.ogg,test,drums"]
    (instruments / "metadata.csv").write_text("\n".join(lines))
    lines = [f"{i}.flac,{1 + i % 2}" for i in range(41)]
    (digits / "metadata.csv").write_text("\n".join(["filename,fold", *lines]))
    return tmp_path


def test_only_free_clips_are_learned_from(mix: Path) -> None:
    split = BuiltinMix(fold=1).read(mix)
    environmental = [clip for clip in (*split.train, *split.test) if "esc50" in str(clip.path)]
    assert [clip.path.name for clip in environmental] == ["2-1-A-2.ogg", "1-100032-A-0.ogg"]


def test_the_held_out_fold_speaker_and_sound_font_are_not_learned_from(mix: Path) -> None:
    split = BuiltinMix(fold=1).read(mix)
    held_out = {clip.path.name for clip in split.test}
    assert held_out == {"1-100032-A-0.ogg", "b.ogg", "0.flac", "20.flac", "40.flac"}
    assert not {clip.path for clip in split.test} & {clip.path for clip in split.train}


def test_an_instrument_clip_is_music_and_its_instruments(mix: Path) -> None:
    split = BuiltinMix(fold=1).read(mix)
    (clip,) = [clip for clip in split.train if clip.path.name == "a.ogg"]
    assert clip.labels == ("Music", "Piano", "Choir")
    assert set(clip.labels) <= set(split.labels.names)


def test_licences_are_read_past_odd_names(mix: Path) -> None:
    licences = read_licences(mix / "esc50_16k" / "LICENSE_and_attributions.txt")
    free = {"1-100032-A": "CC0", "2-1-A": "CC-BY"}
    assert licences == free | {"1-17970-A": "CC-BY-NC", "2-2-A": "CC-Sampling+"}


def test_a_table_without_a_needed_column_says_which(tmp_path: Path) -> None:
    (tmp_path / "audio").mkdir()
    (tmp_path / "esc50.csv").write_text("filename,fold\na.wav,1\n")
    with pytest.raises(ConfigError, match="no column 'target'; it needs filename, fold, target"):
        ESC50().read(tmp_path)


def test_an_empty_table_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ConfigError, match="at least one row"):
        read_rows(tmp_path / "empty.csv", ("filename",))


def test_labels_have_no_doubles() -> None:
    assert len(set(NAMES.values())) == 50
    assert len(BuiltinMix().labels) == 50 + 2 + len(INSTRUMENTS)
    assert len(ESC50(esc10=True).labels) == 10


@REAL
def test_the_real_esc10_has_forty_clips_of_each_class_in_five_equal_folds() -> None:
    assert DATA is not None
    for fold in range(1, 6):
        split = ESC50(esc10=True, fold=fold).read(Path(DATA) / "esc10")
        assert (len(split.train), len(split.test)) == (320, 80)
        assert all(clip.path.is_file() for clip in split.test)


@REAL
def test_the_real_mix_is_what_its_card_says() -> None:
    assert DATA is not None
    split = BuiltinMix().read(Path(DATA))
    environmental = [clip for clip in (*split.train, *split.test) if "esc50" in str(clip.path)]
    assert len(environmental) == 1769
