from pathlib import Path

import pytest

from earmark.config import ConfigError
from earmark.data import Folder, Split, Table
from earmark.data.finding import find_corpus
from earmark.data.tables.errors import TableError


def make(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def read(root: Path) -> Split:
    """What a run sees: the resolved description, through JSON, reads the folder."""
    return Folder.from_json(Folder().resolved(root).to_json()).read(root)


def names(clips: object) -> set[str]:
    assert isinstance(clips, list)
    return {clip.path.name for clip in clips}


def mistakes_in(root: Path, config: Folder | None = None) -> str:
    with pytest.raises(TableError) as caught:
        (config or Folder()).resolved(root)
    return "\n".join(caught.value.sentences)


def test_each_folder_is_a_class_with_what_lies_below_it(tmp_path: Path) -> None:
    dogs, cats = [f"Dog/a/b/{n}.wav" for n in range(10)], [f"cat/{n}.OGG" for n in range(10)]
    split = read(make(tmp_path, *dogs, *cats))
    assert split.labels.names == ("cat", "Dog")
    assert split.labels.exclusive
    clips = [*split.train, *split.test]
    assert len(clips) == 20
    assert all(clip.labels == (clip.path.relative_to(tmp_path).parts[0],) for clip in clips)
    assert {clip.labels for clip in split.test} == {("cat",), ("Dog",)}


def test_hidden_files_are_passed_over_and_others_that_are_no_sounds_are_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    make(tmp_path, "dog/1.wav", "dog/2.wav", "cat/1.wav", "cat/2.wav")
    make(tmp_path, "dog/._1.wav", ".git/x.wav", "__MACOSX/dog/1.wav", "dog/.DS_Store", "dog/notes.txt")
    split = read(tmp_path)
    assert len(split.train) + len(split.test) == 4
    assert "1 files are no sounds by their names and were left out: 'dog/notes.txt'" in caplog.text


def test_folders_of_splits_decide_what_is_held_out(tmp_path: Path) -> None:
    make(
        tmp_path, "Train/dog/1.wav", "Train/cat/2.wav", "valid/dog/3.wav", "test/cat/4.wav", "test/dog/5.wav"
    )
    split = read(tmp_path)
    assert (names(split.train), names(split.validation)) == ({"1.wav", "2.wav"}, {"3.wav"})
    assert names(split.test) == {"4.wav", "5.wav"}
    assert Folder().resolved(tmp_path).n_folds == 0


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    split = read(make(tmp_path, "train/1.wav", "train/2.wav", "dog/1.wav", "dog/2.wav"))
    assert split.labels.names == ("dog", "train")


def test_folders_of_folds_are_held_out_one_by_one(tmp_path: Path) -> None:
    make(tmp_path, *[f"fold{fold}/{label}/{fold}.wav" for fold in (1, 2, 10) for label in ("dog", "cat")])
    resolved = Folder().resolved(tmp_path)
    assert (resolved.fold, resolved.folds) == (1, (1, 2, 10))
    for fold in resolved.folds:
        assert names(resolved.replace(fold=fold).read(tmp_path).test) == {f"{fold}.wav"}
    with pytest.raises(ConfigError, match="no fold 3 to hold out; there are 1, 2, 10"):
        resolved.replace(fold=3)


def test_dealt_folds_are_held_out_once_each_and_do_not_hang_on_the_place_of_the_folder(
    tmp_path: Path,
) -> None:
    files = [f"{label}/{n}.wav" for label in ("dog", "cat", "owl") for n in range(12)]
    for place in ("here", "there"):
        make(tmp_path / place, *files)
    resolved = Folder().resolved(tmp_path / "here")
    held = [
        clip.path
        for fold in resolved.folds
        for clip in resolved.replace(fold=fold).read(tmp_path / "here").test
    ]
    assert len(held) == len(set(held)) == 36
    moved = resolved.read(tmp_path / "there").test
    assert {clip.path.relative_to(tmp_path / "there") for clip in moved} == {
        clip.path.relative_to(tmp_path / "here") for clip in resolved.read(tmp_path / "here").test
    }


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    make(
        tmp_path,
        "train/dog/1.wav",
        "train/cat/1.wav",
        "train/empty/notes.txt",
        "test/owl/1.wav",
        "test/2.wav",
    )
    said = mistakes_in(tmp_path)
    assert "the class 'empty' has no sound in" in said
    assert "the class 'owl' is only in test" in said
    assert "1 sounds, such as '2.wav', lie directly in" in said


def test_one_class_or_none_is_told_with_what_was_perhaps_meant(tmp_path: Path) -> None:
    assert "there are no folders in it" in mistakes_in(tmp_path)
    make(tmp_path, "corpus/dog/1.wav", "corpus/cat/1.wav")
    assert f"if the classes are the folders in it, give {tmp_path / 'corpus'}" in mistakes_in(tmp_path)
    assert "is no folder" in mistakes_in(tmp_path / "none")


def test_a_resolved_folder_checks_another_one_against_its_classes(tmp_path: Path) -> None:
    resolved = Folder().resolved(make(tmp_path / "a", "dog/1.wav", "dog/2.wav", "cat/1.wav", "cat/2.wav"))
    make(tmp_path / "b", "dog/1.wav", "dogs/2.wav")
    with pytest.raises(TableError, match="'dogs', with 1 sounds, is none of the 2 labels"):
        resolved.read(tmp_path / "b")


def test_classes_are_not_known_before_the_folder_was_read() -> None:
    with pytest.raises(ConfigError, match=r"take folder.resolved"):
        _ = Folder().labels


def test_links_that_lead_back_end(tmp_path: Path) -> None:
    make(tmp_path, "dog/1.wav", "dog/2.wav", "cat/1.wav", "cat/2.wav")
    (tmp_path / "dog" / "loop").symlink_to(tmp_path / "dog")
    split = read(tmp_path)
    assert len(split.train) + len(split.test) == 4


def test_a_folder_of_classes_is_found_and_one_with_a_table_beside_them_asks(tmp_path: Path) -> None:
    make(tmp_path, "dog/1.wav", "cat/1.wav")
    assert find_corpus(tmp_path) == (Folder(), tmp_path)
    (tmp_path / "notes.csv").write_text("when,who\n1,2\n")
    assert find_corpus(tmp_path) == (Folder(), tmp_path)
    (tmp_path / "clips.csv").write_text("path,label\ndog/1.wav,dog\n")
    with pytest.raises(ConfigError, match=r"holds a table, clips.csv, and folders of sounds"):
        find_corpus(tmp_path)
    assert find_corpus(tmp_path, "folder") == (Folder(), tmp_path)
    assert find_corpus(tmp_path, "table") == (Table(), tmp_path / "clips.csv")
