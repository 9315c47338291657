"""Speech Commands v2 from the official archive."""

from pathlib import Path

import pytest

from data.small_archives import write_text, write_tone
from earmark.config import ConfigError
from earmark.data import SpeechCommands
from earmark.labels import SPEECH_COMMANDS


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    for word in SPEECH_COMMANDS:
        (tmp_path / word).mkdir()
    for name in ("dog/a_nohash_0", "dog/b_nohash_0", "dog/b_nohash_1", "zero/c_nohash_0"):
        write_tone(tmp_path / f"{name}.wav")
    write_tone(tmp_path / "_background_noise_" / "pink_noise.wav")
    write_text(tmp_path / "_background_noise_" / "README.md", "noise")
    write_text(tmp_path / "validation_list.txt", "dog/b_nohash_0.wav")
    write_text(tmp_path / "testing_list.txt", "zero/c_nohash_0.wav")
    return tmp_path


def test_the_lists_say_what_is_chosen_by_and_what_is_held_out(archive: Path) -> None:
    split = SpeechCommands().read(archive)
    parts = [
        [f"{clip.path.parent.name}/{clip.path.name}" for clip in clips]
        for clips in (split.train, split.validation, split.test)
    ]
    assert parts == [
        ["dog/a_nohash_0.wav", "dog/b_nohash_1.wav"],
        ["dog/b_nohash_0.wav"],
        ["zero/c_nohash_0.wav"],
    ]
    assert split.test[0].labels == ("zero",)
    assert split.labels.exclusive
    assert len(split.labels) == 35


def test_the_folder_that_the_archive_is_unpacked_to_by_others_is_found(archive: Path) -> None:
    nested = archive / "SpeechCommands"
    nested.mkdir()
    everything = [path for path in archive.iterdir() if path != nested]
    (nested / "speech_commands_v0.02").mkdir()
    for path in everything:
        path.rename(nested / "speech_commands_v0.02" / path.name)
    assert len(SpeechCommands().read(archive).train) == 2


def test_listed_clips_that_are_not_here_are_named(archive: Path) -> None:
    write_text(archive / "testing_list.txt", "zero/c_nohash_0.wav", "zero/gone.wav")
    assert SpeechCommands().read(archive).missing == ["zero/gone.wav"]


def test_what_is_missing_is_named(archive: Path) -> None:
    (archive / "sheila").rmdir()
    with pytest.raises(ConfigError, match=r"no folder .*sheila; .* one for each of its 35 words"):
        SpeechCommands().read(archive)
    (archive / "testing_list.txt").unlink()
    with pytest.raises(ConfigError, match=r"no Speech Commands v2 under .*; looked for testing_list\.txt in"):
        SpeechCommands().read(archive)


def test_a_list_of_something_else_is_refused(archive: Path) -> None:
    write_text(archive / "validation_list.txt", "dgo/a.wav")
    with pytest.raises(ConfigError, match=r"'dgo/a\.wav' is no clip of the 35 words"):
        SpeechCommands().read(archive)
    (archive / "validation_list.txt").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="cannot be read as a list of clips"):
        SpeechCommands().read(archive)
