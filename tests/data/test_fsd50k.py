"""FSD50K from the official archive and from PaSST's packs."""

from pathlib import Path

import numpy as np
import pytest

from data.small_archives import write_pack, write_text, write_tone
from earmark.config import ConfigError
from earmark.data import FSD50K
from earmark.data.fsd50k import vocabulary
from earmark.labels import audioset_labels

GUITAR = '"Electric_guitar,Guitar,Plucked_string_instrument,Musical_instrument,Music"'
MIDS = '"/m/02sgy,/m/0342h,/m/0fx80y,/m/04szw,/m/04rlf"'


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    truth = tmp_path / "FSD50K.ground_truth"
    write_text(
        truth / "vocabulary.csv", *(f"{i},{word.label},{word.mid}" for i, word in enumerate(vocabulary()))
    )
    rows = (f"64760,{GUITAR},{MIDS},train", f"345111,{GUITAR},{MIDS},val", '12,"Bark,Dog","x,y",train')
    write_text(truth / "dev.csv", "fname,labels,mids,split", *rows)
    write_text(truth / "eval.csv", "fname,labels,mids", '99,"Screech","/m/07q8k13"')
    for name in ("dev_audio/64760", "dev_audio/345111", "dev_audio/12", "eval_audio/99"):
        write_tone(tmp_path / f"FSD50K.{name}.wav")
    return tmp_path


def test_its_own_split_is_kept(archive: Path) -> None:
    split = FSD50K().read(archive)
    assert [clip.path.name for clip in split.train] == ["64760.wav", "12.wav"]
    assert [clip.path.name for clip in split.validation] == ["345111.wav"]
    assert [(clip.path.parent.name, clip.path.name) for clip in split.test] == [
        ("FSD50K.eval_audio", "99.wav")
    ]
    assert all(clip.path.is_file() for clip in (*split.train, *split.validation, *split.test))


def test_labels_have_audiosets_display_names(archive: Path) -> None:
    split = FSD50K().read(archive)
    names = ("Electric guitar", "Guitar", "Plucked string instrument", "Musical instrument", "Music")
    assert split.train[0].labels == names
    assert split.test[0].labels == ("Screech",)
    assert set(split.train[1].labels) <= set(split.labels.names)


def test_the_vocabulary_agrees_with_audiosets_table_wherever_both_know_a_class() -> None:
    audioset = audioset_labels()
    known = dict(zip(audioset.ids, audioset.names, strict=True))
    words = vocabulary()
    assert len({word.mid for word in words}) == len({word.display_name for word in words}) == 200
    assert [word.label for word in words] == sorted(word.label for word in words)
    shared = [word for word in words if word.mid in known]
    assert len(shared) == 192
    assert all(word.display_name == known[word.mid] for word in shared)
    for word in words:
        plain = word.display_name.replace(", and ", ", ").replace(", ", "_and_").replace(" ", "_")
        assert plain.lower() == word.label.lower()


def test_another_vocabulary_is_refused(archive: Path) -> None:
    words = [word.label for word in vocabulary()]
    words[3], words[4] = words[4], words[3]
    write_text(
        archive / "FSD50K.ground_truth" / "vocabulary.csv", *(f"{i},{w},x" for i, w in enumerate(words))
    )
    with pytest.raises(ConfigError, match=r"not FSD50K's vocabulary of 200 classes; it differs at 'Alarm'"):
        FSD50K().read(archive)


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("1,Barke,/m/x,train", "the clip '1' has the label 'Barke'; it takes some of the 200"),
        ("1,,/m/x,train", "the clip '1' has the label ''"),
        (",Bark,/m/x,train", "the clip '' has no name"),
        ("1,Bark,/m/x,test", "split 'test' of 1; it is 'train' or 'val'"),
        ("1,Bark", "split None of 1; it is 'train' or 'val'"),
    ],
)
def test_a_damaged_row_is_a_sentence(archive: Path, row: str, words: str) -> None:
    write_text(archive / "FSD50K.ground_truth" / "dev.csv", "fname,labels,mids,split", row)
    with pytest.raises(ConfigError, match=words):
        FSD50K().read(archive)


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        ("FSD50K.ground_truth", "no folder of FSD50K's tables, and no packs, under .*; looked for FSD50K.g"),
        ("FSD50K.dev_audio", "no folder of FSD50K's dev clips under"),
        ("FSD50K.eval_audio", "no folder of FSD50K's eval clips under"),
        ("FSD50K.ground_truth/eval.csv", r"eval\.csv: cannot be read as a table"),
    ],
)
def test_what_is_missing_is_named(archive: Path, lost: str, words: str) -> None:
    (archive / lost).rename(archive / "elsewhere")
    with pytest.raises(ConfigError, match=words):
        FSD50K().read(archive)


def test_packs_are_read_with_the_same_names(tmp_path: Path) -> None:
    names = FSD50K().labels.names
    for part, name in (("train", "Dog"), ("val", "Zipper (clothing)"), ("eval", "Accordion")):
        target = np.zeros((1, 200), np.uint8)
        target[0, names.index(name)] = 1
        write_pack(tmp_path / "mp3" / f"FSD50K.{part}_mp3.hdf", np.packbits(target, axis=1))
    split = FSD50K().read(tmp_path)
    found = [clips[0].labels for clips in (split.train, split.validation, split.test)]
    assert found == [("Dog",), ("Zipper (clothing)",), ("Accordion",)]
