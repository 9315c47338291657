"""Labels in a table: one or several for a clip, their separator, their order."""

from pathlib import Path

import pytest

from data.tables import labels_of, mistakes_in, read, sounds, write
from earmark.config import ConfigError
from earmark.data import Table
from earmark.data.tables.errors import TableError

__all__ = ["sounds"]


def test_rows_of_the_same_clip_are_one_clip_with_all_their_labels(sounds: Path) -> None:
    table = write(sounds, "path,label", "0.wav,dog", "0.wav,cat", "1.wav,dog", "./0.wav,dog", "2.wav,cat")
    split = read(table)
    assert not split.labels.exclusive
    assert labels_of(split) == {"0.wav": ("dog", "cat"), "1.wav": ("dog",), "2.wav": ("cat",)}


def test_repeated_rows_are_told_and_count_once(sounds: Path, caplog: pytest.LogCaptureFixture) -> None:
    table = write(sounds, "path,label", "0.wav,dog", "1.wav,cat", "0.wav,dog")
    split = read(table)
    assert len(split.train) + len(split.test) == 2
    assert "1 rows repeat an earlier one and count once (line 4)" in caplog.text


def test_a_second_label_among_many_clips_with_one_is_a_mistake_unless_several_are_allowed(
    sounds: Path,
) -> None:
    rows = [f"{number}.wav,{'dog' if number % 2 else 'cat'}" for number in range(20)]
    table = write(sounds, "path,label", *rows, "3.wav,cat")
    assert "'3.wav' is 'cat' here and 'dog' in line 5" in mistakes_in(table)[0]
    assert labels_of(read(table, Table(exclusive=False)))["3.wav"] == ("dog", "cat")


def test_several_labels_are_a_mistake_where_one_must_hold(sounds: Path) -> None:
    table = write(sounds, "path,labels", "0.wav,dog;cat", "1.wav,dog", "2.wav,cat")
    assert "there are 2 labels, 'dog' and 'cat'" in mistakes_in(table, Table(exclusive=True))[0]


@pytest.mark.parametrize(
    ("cells", "separator", "expected"),
    [
        (["dog;cat", "Rain, light", "cat"], ";", [("dog", "cat"), ("Rain, light",), ("cat",)]),
        (["dog, cat", "rain", "cat"], ",", [("dog", "cat"), ("rain",), ("cat",)]),
        (["dog|cat|dog|", "rain", "cat"], "|", [("dog", "cat"), ("rain",), ("cat",)]),
        (['["dog", "a;b"]', "['rain']", "cat"], "", [("dog", "a;b"), ("rain",), ("cat",)]),
        (["dog", "rain", "cat"], "", [("dog",), ("rain",), ("cat",)]),
    ],
)
def test_the_separator_of_labels_is_found(
    sounds: Path, cells: list[str], separator: str, expected: list[tuple[str, ...]]
) -> None:
    quoted = [cell.replace('"', '""') for cell in cells]
    rows = [f'{number}.wav,"{cell}"' for number, cell in enumerate(quoted)]
    table = write(sounds, "path,labels", *rows)
    assert Table().resolved(table).separator == separator
    assert labels_of(read(table)) == {f"{number}.wav": one for number, one in enumerate(expected)}


def test_a_column_for_one_label_is_not_separated_unless_asked(
    sounds: Path, caplog: pytest.LogCaptureFixture
) -> None:
    table = write(sounds, "path,label", "0.wav,dog;cat", "1.wav,dog")
    assert labels_of(read(table))["0.wav"] == ("dog;cat",)
    assert "'dog;cat' was read as one label" in caplog.text
    assert labels_of(read(table, Table(separator=";")))["0.wav"] == ("dog", "cat")


def test_clips_in_which_nothing_is_heard_are_allowed_on_demand(sounds: Path) -> None:
    table = write(sounds, "path,label", "0.wav,dog", "1.wav,", "2.wav,dog", "3.wav,")
    assert "--set corpus.allow_unlabelled=true" in mistakes_in(table)[0]
    split = read(table, Table(allow_unlabelled=True))
    assert not split.labels.exclusive
    assert labels_of(split)["1.wav"] == ()


def test_one_class_is_no_corpus(sounds: Path) -> None:
    assert "all clips are of one class, 'dog'" in mistakes_in(write(sounds, "path,label", "0.wav,dog"))[0]


def test_labels_that_are_numbers_stand_in_the_order_of_numbers(sounds: Path) -> None:
    table = write(sounds, "path,target", *[f"{number}.wav,{number}" for number in range(12)])
    assert Table().resolved(table).names == tuple(str(number) for number in range(12))


def test_labels_that_differ_in_case_alone_are_told(sounds: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(write(sounds, "path,label", "0.wav,Dog", "1.wav,dog", "2.wav,cat"))
    assert "'Dog', 'dog' are different labels" in caplog.text


def test_a_resolved_table_checks_another_file_against_its_labels(sounds: Path) -> None:
    resolved = Table().resolved(write(sounds, "path,label", "0.wav,dog", "1.wav,cat", "2.wav,dog"))
    other = write(sounds, "path,label", "0.wav,dog", "1.wav,cta", name="other.csv")
    with pytest.raises(TableError, match="line 3: 'cta' is none of the labels; did you mean 'cat'"):
        resolved.read(other)
    assert resolved.read(write(sounds, "path,label", "0.wav,dog", name="less.csv")).labels == resolved.labels


def test_labels_are_not_known_before_the_table_was_read() -> None:
    with pytest.raises(ConfigError, match=r"take table.resolved"):
        _ = Table().labels
