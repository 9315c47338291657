"""What a table holds out: its splits, its folds, or clips that are dealt."""

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.tables import mistakes_in, read, sounds, write
from earmark.config import ConfigError
from earmark.data import Table
from earmark.data.holding_out import deal

__all__ = ["sounds"]


def test_the_words_for_splits_are_understood_from_one_another(sounds: Path) -> None:
    def parts(*words: str) -> list[int]:
        rows = [f"{number}.wav,{'dog' if number % 2 else 'cat'},{words[number // 2]}" for number in range(4)]
        last = [f"{number}.wav,{'dog' if number % 2 else 'cat'},{words[-1]}" for number in range(4, 6)]
        split = read(write(sounds, "path,label,subset", *rows, *last))
        return [len(split.train), len(split.validation), len(split.test)]

    assert parts("Train", "valid", "TEST") == [2, 2, 2]
    assert parts("train", "dev", "eval") == [2, 2, 2]
    assert parts("dev", "dev", "eval") == [4, 0, 2]
    assert parts("train", "eval", "test") == [2, 2, 2]
    assert parts("training", "training", "validation") == [4, 0, 2]


def test_a_fold_is_held_out_under_the_number_that_the_table_gives_it(sounds: Path) -> None:
    rows = [f"{number}.wav,{'dog' if number % 2 else 'cat'},fold{number // 4}" for number in range(20)]
    table = write(sounds, "path,label,fold", *rows)
    resolved = Table().resolved(table)
    assert (resolved.fold, resolved.folds, resolved.n_folds) == (0, (0, 1, 2, 3, 4), 5)
    for fold in resolved.folds:
        split = resolved.replace(fold=fold).read(table)
        assert [int(clip.path.stem) // 4 for clip in split.test] == [fold] * 4
    with pytest.raises(ConfigError, match="no fold 5 to hold out; there are 0, 1, 2, 3, 4"):
        resolved.replace(fold=5)


def test_a_split_decides_unless_a_fold_is_asked_for(sounds: Path) -> None:
    rows = [
        f"{n}.wav,{'dog' if n % 2 else 'cat'},{n // 2 % 5},{'test' if n > 15 else 'train'}" for n in range(20)
    ]
    table = write(sounds, "path,label,fold,split", *rows)
    resolved = Table().resolved(table)
    assert (resolved.fold, resolved.n_folds) == (None, 5)
    assert {int(clip.path.stem) for clip in resolved.read(table).test} == {16, 17, 18, 19}
    held = resolved.replace(fold=1).read(table).test
    assert {int(clip.path.stem) for clip in held} == {2, 3, 12, 13}


def test_a_label_in_one_fold_alone_is_a_mistake(sounds: Path) -> None:
    rows = [f"{number}.wav,{'dog' if number % 2 else 'cat'},{1 + number // 4}" for number in range(8)]
    found = mistakes_in(write(sounds, "path,label,fold", *rows, "9.wav,owl,2"))
    assert "line 10: the label 'owl' occurs only in fold 2" in found[0]


def test_other_spellings_of_a_file_are_the_same_file(sounds: Path) -> None:
    (sounds / "inner").mkdir()
    rows = ["0.wav,dog,train", "1.wav,cat,train", "2.wav,dog,test", "3.wav,cat,test"]
    spellings = [".//0.wav", "inner/../0.wav", str(sounds / "0.wav")]
    for spelling in spellings:
        found = mistakes_in(write(sounds, "path,label,split", *rows, f"{spelling},dog,test"))
        assert "line 6: '0.wav' is in test here and in train in line 2" in found[0]


def test_stretches_of_a_file_on_both_sides_are_told_if_they_do_not_overlap(
    sounds: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rows = ["0.wav,0,1,dog,train", "0.wav,1,2,cat,test", "1.wav,0,1,cat,train", "2.wav,0,1,dog,test"]
    read(write(sounds, "path,start,end,label,split", *rows))
    assert "1 files have clips on several sides" in caplog.text


@given(st.integers(2, 8), st.lists(st.integers(1, 60), min_size=1, max_size=6), st.integers(0, 10**6))
@settings(max_examples=60, deadline=None)
def test_every_class_is_dealt_fairly(n_folds: int, sizes: list[int], seed: int) -> None:
    groups = {f"{seed}-{label}-{i}": [str(label)] for label, size in enumerate(sizes) for i in range(size)}
    folds = deal(groups, n_folds)
    for label, size in enumerate(sizes):
        counts = Counter(folds.get(name) for name, labels in groups.items() if labels == [str(label)])
        if size == 1:
            assert counts == {None: 1}
        else:
            assert None not in counts
            assert max(1, int(size / n_folds / 2)) <= counts[1]
            assert max(counts.values()) <= max(-(-size // n_folds), int(1.5 * size / n_folds))


def test_more_clips_in_another_order_leave_those_that_were_there_on_their_sides() -> None:
    first = {f"{label}/{i}.wav": [label] for label in "abc" for i in range(100)}
    more = first | {f"{label}/{i}.wav": [label] for label in "abcd" for i in range(100, 130)}
    shuffled = list(more.items())
    random.Random(0).shuffle(shuffled)
    before, after = deal(first, 5), deal(dict(shuffled), 5)
    assert {name: after[name] for name in before} == before


def test_clips_of_a_group_or_a_file_are_held_out_together(sounds: Path) -> None:
    rows = [
        f"{n}.wav,{t},{t + 1},{'dog' if n % 2 else 'cat'},{n // 2 % 7}" for n in range(20) for t in (0, 1)
    ]
    table = write(sounds, "path,start,end,label,speaker", *rows)
    split = read(table)
    groups = [{int(clip.path.stem) // 2 % 7 for clip in part} for part in (split.train, split.test)]
    assert groups[1]
    assert not groups[0] & groups[1]


def test_dealt_folds_are_held_out_once_each(sounds: Path) -> None:
    table = write(sounds, "path,label", *[f"{n}.wav,{'dog' if n % 2 else 'cat'}" for n in range(20)])
    resolved = Table().resolved(table)
    held = [
        clip.path.name for fold in resolved.folds for clip in resolved.replace(fold=fold).read(table).test
    ]
    assert sorted(held) == sorted(f"{n}.wav" for n in range(20))


def test_the_only_clip_of_a_class_is_learned_from(sounds: Path, caplog: pytest.LogCaptureFixture) -> None:
    rows = [f"{n}.wav,{'dog' if n % 2 else 'cat'}" for n in range(19)]
    split = read(write(sounds, "path,label", *rows, "19.wav,owl"))
    assert "owl" in {clip.labels[0] for clip in split.train}
    assert "'owl': all its clips are of one recording or group" in caplog.text
