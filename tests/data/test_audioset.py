"""AudioSet from the lists and folders, the manifests and the packs that people have."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from data.small_archives import write_pack, write_text, write_tone
from earmark.config import ConfigError
from earmark.data import AudioSet
from earmark.data.audioset_files import Recordings, read_segments
from earmark.labels import audioset_labels

HEAD = (
    "# Segments csv created Sun Mar  5 10:54:25 2017",
    "# num_ytids=3, num_segs=3, num_unique_labels=527, num_positive_labels=5",
    "# YTID, start_seconds, end_seconds, positive_labels",
)
SPEECH, DOG, MUSIC = "/m/09x0r", "/m/0bt9lr", "/m/04rlf"


def segments(folder: Path, name: str, *rows: str) -> Path:
    return write_text(folder / f"{name}.csv", *HEAD, *rows)


@pytest.fixture
def lists(tmp_path: Path) -> Path:
    """The three lists, with YouTube names that begin with a dash or look like others."""
    segments(
        tmp_path / "metadata",
        "balanced_train_segments",
        f'--PJHxphWEs, 30.000, 40.000, "{SPEECH},{DOG}"',
        f'Yabcdefghij, 0.000, 10.000, "{MUSIC}"',
        f'gone_gone_g, 0.000, 10.000, "{MUSIC}"',
    )
    segments(
        tmp_path / "metadata",
        "unbalanced_train_segments",
        f'AAAAAAAAAA_, 0.000, 10.000, "{DOG}"',
        f'BBBBBBBBBBB, 30.000, 40.000, "{MUSIC},{SPEECH}"',
    )
    segments(tmp_path / "metadata", "eval_segments", f'CCCCCCCCCCC, 5.000, 9.500, "{DOG}"')
    return tmp_path


def fill(root: Path) -> None:
    """As PANNs' scripts lay them out: the unbalanced part in folders of its own."""
    write_tone(root / "audios" / "balanced_train_segments" / "Y--PJHxphWEs.wav")
    write_tone(root / "audios" / "balanced_train_segments" / "Yabcdefghij.flac")
    parts = root / "audios" / "unbalanced_train_segments"
    write_tone(parts / "unbalanced_train_segments_part00" / "YAAAAAAAAAA_.wav")
    write_tone(parts / "unbalanced_train_segments_part40" / "BBBBBBBBBBB_30.000_40.000.wav")
    write_tone(root / "audios" / "eval_segments" / "CCCCCCCCCCC_5000.mp3")


def test_the_full_set_is_the_balanced_part_and_then_the_unbalanced_one(lists: Path) -> None:
    fill(lists)
    split = AudioSet().read(lists)
    names = ["Y--PJHxphWEs.wav", "Yabcdefghij.flac", "YAAAAAAAAAA_.wav", "BBBBBBBBBBB_30.000_40.000.wav"]
    assert [clip.path.name for clip in split.train] == names
    assert split.train[0].labels == ("Speech", "Dog")
    assert [(clip.path.name, clip.labels) for clip in split.test] == [("CCCCCCCCCCC_5000.mp3", ("Dog",))]
    assert all(clip.path.is_file() and clip.start == 0 and clip.end is None for clip in split.train)


@pytest.mark.parametrize(("subset", "count"), [("balanced", 2), ("unbalanced", 2), ("full", 4)])
def test_the_subset_chooses_what_is_learned_from_and_never_what_is_held_out(
    lists: Path, subset: str, count: int
) -> None:
    fill(lists)
    split = AudioSet(subset=subset).read(lists)
    assert (len(split.train), len(split.test)) == (count, 1)


def test_videos_that_are_gone_are_counted_and_named(lists: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(lists)
    with caplog.at_level(logging.WARNING):
        split = AudioSet(subset="balanced").read(lists)
    assert split.missing == ["gone_gone_g at 0 s"]
    assert "1 clips that AudioSet lists are not under" in caplog.text


def test_a_list_without_any_of_its_recordings_says_what_was_looked_for(lists: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"none of the clips of .*balanced_train_segments\.csv is under .*Y"
    ):
        AudioSet().read(lists)


def test_a_folder_of_something_else_says_where_was_looked(tmp_path: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"no AudioSet under .*balanced_train_segments\.csv, there and in metadata"
    ):
        AudioSet().read(tmp_path)
    with pytest.raises(ConfigError, match="is no folder"):
        AudioSet().read(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ("--PJHxphWEs, 30.000", "line 4: .*is no segment; it takes a YouTube name, start and end"),
        (f'--PJHxphWEs, x, 40.000, "{DOG}"', "line 4: .*is no segment"),
        ('--PJHxphWEs, 30.000, 40.000, "/m/0bt9l"', r"line 4: '/m/0bt9l' is none of AudioSet's 527 classes"),
        ('--PJHxphWEs, 30.000, 40.000, ""', "line 4 has no label"),
    ],
)
def test_a_damaged_line_is_named_by_its_number(tmp_path: Path, row: str, words: str) -> None:
    table = segments(tmp_path, "eval_segments", row)
    with pytest.raises(ConfigError, match=words):
        read_segments(table, audioset_labels())


def test_a_list_of_comments_or_of_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="lists no segments"):
        read_segments(segments(tmp_path, "empty"), audioset_labels())
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read as a list of segments"):
        read_segments(tmp_path / "bytes.csv", audioset_labels())


def test_the_start_chooses_among_several_pieces_of_one_video(tmp_path: Path) -> None:
    for start in ("0", "30", "60000"):
        write_tone(tmp_path / f"Y_abc-defghi_{start}.wav")
    found = Recordings([tmp_path])
    assert str(found.of("_abc-defghi", 30.0)).endswith("_30.wav")
    assert str(found.of("_abc-defghi", 60.0)).endswith("_60000.wav")
    assert found.of("_abc-defghX", 0.0) is None


def test_folders_that_contain_one_another_are_walked_once(tmp_path: Path) -> None:
    write_tone(tmp_path / "a" / "Yabcdefghijk.wav")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert len(Recordings([tmp_path])) == 1


def manifest(path: Path, *entries: tuple[str, str]) -> Path:
    data = [{"wav": wav, "labels": labels} for wav, labels in entries]
    return write_text(path, json.dumps({"data": data}))


def test_manifests_are_read_with_paths_of_this_machine_or_of_another(tmp_path: Path) -> None:
    here = write_tone(tmp_path / "wav" / "aaaaaaaaaaa.wav")
    write_tone(tmp_path / "wav" / "deep" / "bbbbbbbbbbb.flac")
    manifest(
        tmp_path / "datafiles" / "audioset_bal_train_data.json",
        (str(here), f"{SPEECH},{DOG}"),
        ("/local/slurm-1/audio/balance_wav/bbbbbbbbbbb.wav", MUSIC),
        ("/local/slurm-1/audio/balance_wav/ccccccccccc.wav", MUSIC),
    )
    manifest(tmp_path / "datafiles" / "audioset_eval_data.json", ("wav/aaaaaaaaaaa.wav", DOG))
    split = AudioSet(subset="balanced").read(tmp_path)
    assert [clip.path.name for clip in split.train] == ["aaaaaaaaaaa.wav", "bbbbbbbbbbb.flac"]
    assert split.train[0].labels == ("Speech", "Dog")
    assert [clip.path for clip in split.test] == [here]
    assert split.missing == ["/local/slurm-1/audio/balance_wav/ccccccccccc.wav"]


def test_a_manifest_of_both_parts_is_taken_for_the_full_set(tmp_path: Path) -> None:
    write_tone(tmp_path / "aaaaaaaaaaa.wav")
    manifest(tmp_path / "whole_train_data.json", ("aaaaaaaaaaa.wav", DOG), ("aaaaaaaaaaa.wav", MUSIC))
    manifest(tmp_path / "eval_data.json", ("aaaaaaaaaaa.wav", DOG))
    assert len(AudioSet().read(tmp_path).train) == 2


def test_manifests_of_other_names_are_named(tmp_path: Path) -> None:
    write_tone(tmp_path / "aaaaaaaaaaa.wav")
    manifest(tmp_path / "mine.json", ("aaaaaaaaaaa.wav", DOG))
    manifest(tmp_path / "held out.json", ("aaaaaaaaaaa.wav", MUSIC))
    corpus = AudioSet(train_manifest="mine.json", test_manifest="held out.json")
    assert corpus.read(tmp_path).test[0].labels == ("Music",)
    with pytest.raises(ConfigError, match=r"there is no manifest .*no\.json"):
        corpus.replace(train_manifest="no.json").read(tmp_path)
    with pytest.raises(ConfigError, match=r"there is no manifest .*; name both"):
        corpus.replace(test_manifest=None).read(tmp_path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "is no manifest"),
        ('{"data": []}', "is no manifest"),
        ("{", "cannot be read as JSON"),
        ('{"data": [{"wav": "a.wav"}]}', "entry 1 needs the texts 'wav' and 'labels'"),
        ('{"data": [{"wav": "a.wav", "labels": "/m/x"}]}', "entry 1: '/m/x' is none of AudioSet's 527"),
        ("[" * 100_000, "cannot be read as JSON"),
    ],
)
def test_a_damaged_manifest_is_a_sentence(tmp_path: Path, text: str, words: str) -> None:
    write_text(tmp_path / "bal_train.json", text)
    write_text(tmp_path / "eval.json", text)
    with pytest.raises(ConfigError, match=words):
        AudioSet(subset="balanced").read(tmp_path)


def bits(*classes: tuple[str, ...]) -> np.ndarray:
    """Targets as PaSST packs them: a bit for each of 527 classes, in 66 bytes."""
    labels = audioset_labels()
    many = np.zeros((len(classes), len(labels)), np.uint8)
    for row, names in enumerate(classes):
        many[row, [labels.index(name) for name in names]] = 1
    return np.packbits(many, axis=1)


@pytest.mark.parametrize("folder", ["mp3", ""])
def test_packs_are_read_row_by_row(tmp_path: Path, folder: str) -> None:
    def place(part: str) -> Path:
        return tmp_path / folder / f"{part}_segments_mp3.hdf"

    write_pack(place("balanced_train"), bits(("Speech", "Dog"), ("Battle cry",)))
    write_pack(place("unbalanced_train"), bits(("Music",)))
    write_pack(place("eval"), bits(("Field recording",)))
    split = AudioSet().read(tmp_path)
    assert [clip.labels for clip in split.train] == [("Speech", "Dog"), ("Battle cry",), ("Music",)]
    assert [clip.row for clip in split.train] == [0, 1, 0]
    assert split.test[0].labels == ("Field recording",)


def test_a_pack_that_is_missing_beside_others_is_named(tmp_path: Path) -> None:
    write_pack(tmp_path / "mp3" / "balanced_train_segments_mp3.hdf", bits(("Dog",)))
    with pytest.raises(ConfigError, match=r"eval_segments_mp3\.hdf is missing, but others of its kind"):
        AudioSet(subset="balanced").read(tmp_path)
