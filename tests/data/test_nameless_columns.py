"""Tables as pandas writes them, with an index in front, and files that only look like names."""

from pathlib import Path

from data.tables import labels_of, mistakes_in, read, sounds, write

__all__ = ["sounds"]

ROWS = [f"{number}.wav,{'dog' if number % 2 else 'cat'}" for number in range(20)]


def test_the_nameless_index_that_pandas_writes_is_passed_over(sounds: Path) -> None:
    plain = read(write(sounds, "file,label", *ROWS))
    indexed = [f"{number},{row}" for number, row in enumerate(ROWS)]
    assert labels_of(read(write(sounds, ",file,label", *indexed))) == labels_of(plain)


def test_two_columns_without_a_name_are_passed_over(sounds: Path) -> None:
    plain = read(write(sounds, "file,label", *ROWS))
    assert labels_of(read(write(sounds, ",file,label,", *(f"7,{row},x" for row in ROWS)))) == labels_of(plain)


def test_an_address_on_the_network_is_called_one_and_shown_as_it_is_written(sounds: Path) -> None:
    rows = [*ROWS, "https://example.com/a.wav,dog", "file:///a.wav,cat"]
    remedy = "is an address; fetch the file first, and write the name that it has here"
    assert mistakes_in(write(sounds, "file,label", *rows)) == [
        f"line 22: 'https://example.com/a.wav' {remedy}",
        f"line 23: 'file:///a.wav' {remedy}",
    ]
