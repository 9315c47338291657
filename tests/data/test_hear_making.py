"""Tasks in the layout of the HEAR benchmark, made from corpora."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.config import ConfigError
from earmark.data.preparation.hear_tasks import KINDS, Making, write_task
from earmark.data.preparation.hear_tasks.tones import tone

MAKING = Making(rates=(16000,))


def sounds_of(folder: Path, split: str, rate: int = 16000) -> dict[str, np.ndarray]:
    return {path.name: soundfile.read(path)[0] for path in sorted((folder / str(rate) / split).iterdir())}


def read(path: Path) -> dict[str, list]:
    return json.loads(path.read_text())


def test_folds_labels_and_lengths_are_those_of_the_corpus(tones: Path, tmp_path: Path) -> None:
    folder, failed = write_task(KINDS["esc10"](tones, MAKING), tmp_path, MAKING)
    assert (folder.name, failed) == ("esc10-earmark1-full", [])
    for fold in range(5):
        entries = read(folder / f"fold{fold:02d}.json")
        sounds = sounds_of(folder, f"fold{fold:02d}")
        assert set(entries) == set(sounds)
        assert {name.partition("-")[0] for name in entries} == {str(fold + 1)}
        assert {len(sound) for sound in sounds.values()} == {5 * 16000}  # half a second, and silence
    rows = list(csv.DictReader((folder / "labelvocabulary.csv").read_text().splitlines()))
    assert [row["idx"] for row in rows] == list(map(str, range(10)))
    assert {row["label"] for row in rows} == {label for labels in entries.values() for label in labels}
    told = read(folder / "task_metadata.json")
    assert (told["split_mode"], told["nfolds"], told["evaluation"][0]) == ("presplit_kfold", 5, "top1_acc")


def test_sounds_are_the_originals_in_16_bits(tones: Path, tmp_path: Path) -> None:
    making = Making(rates=(8000,))
    folder, _ = write_task(KINDS["esc10"](tones, making), tmp_path, making)
    original = soundfile.read(tones / "audio" / "1-0-A-0.flac")[0]
    made = soundfile.read(folder / "8000" / "fold00" / "1-0-A-0.wav")[0]
    assert np.abs(made[: len(original)] - original).max() < 1.1 / 32767


def test_a_killed_making_goes_on_and_a_rate_comes_beside(tones: Path, tmp_path: Path) -> None:
    sketch = KINDS["esc10"](tones, MAKING)
    folder, _ = write_task(sketch, tmp_path, MAKING)
    whole = {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")}
    (folder / "task_metadata.json").unlink()
    for path in sorted((folder / "16000" / "fold03").iterdir())[2:]:
        path.unlink()
    made: list[float] = []
    write_task(sketch, tmp_path, MAKING, made.append)
    assert len(made) == 8
    assert {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*.*")} == whole
    write_task(sketch, tmp_path, Making(rates=(8000, 16000)), made.append)
    assert len(made) == 8 + 50
    assert len(list((folder / "8000").rglob("*.wav"))) == 50


def test_a_folder_of_another_task_is_left_alone(tones: Path, tmp_path: Path) -> None:
    write_task(KINDS["esc10"](tones, MAKING), tmp_path, MAKING)
    with pytest.raises(ConfigError, match="made of other sounds or settings"):
        write_task(KINDS["esc10"](tones, MAKING.replace(seconds=1.0)), tmp_path, MAKING)
    (tmp_path / "mine-earmark1-full").mkdir()
    (tmp_path / "mine-earmark1-full" / "letter.txt").write_text("dear")
    with pytest.raises(ConfigError, match="is not empty"):
        write_task(KINDS["esc10"](tones, MAKING.replace(name="mine")), tmp_path, MAKING)


def table(folder: Path, rows: list[str]) -> Path:
    for row in rows:
        name = row.partition(",")[0]
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / name, 0.1 * np.ones(400), 8000)
    return folder / "t.csv"


def test_what_cannot_be_read_is_told_and_left_out(tmp_path: Path) -> None:
    rows = [f"{kind}{n}.wav,{kind},{n % 3}" for kind in "ab" for n in range(6)]
    path = table(tmp_path, rows)
    path.write_text("\n".join(["file,label,fold", *rows]))
    (tmp_path / "a3.wav").write_bytes(b"RIFF....WAVE but no more")
    sketch = KINDS["table"](path, MAKING.replace(name="mine"))
    folder, failed = write_task(sketch, tmp_path / "tasks", MAKING)
    assert len(failed) == 1
    assert failed[0].startswith("fold00/a3: ")
    assert "a3.wav" not in read(folder / "fold00.json")
    assert sum(len(read(folder / f"fold{fold:02d}.json")) for fold in range(3)) == 11


def test_parts_without_one_to_choose_by_give_a_tenth_for_it(tmp_path: Path) -> None:
    rows = [f"{kind}{n}.wav,{kind},{'test' if n < 5 else 'train'}" for kind in "ab" for n in range(45)]
    path = table(tmp_path, rows)
    path.write_text("\n".join(["file,label,split", *rows]))
    splits = KINDS["table"](path, MAKING).splits
    assert len(splits["test"]) == 10
    assert 2 <= len(splits["valid"]) <= 16
    assert sum(map(len, splits.values())) == 90


def test_two_folds_are_too_few_and_names_are_no_pitches(tmp_path: Path) -> None:
    rows = [f"{kind}{n}.wav,{kind},{n % 2}" for kind in "ab" for n in range(6)]
    path = table(tmp_path, rows)
    path.write_text("\n".join(["file,label,fold", *rows]))
    with pytest.raises(ConfigError, match="has 2 folds; a task needs 3"):
        KINDS["table"](path, MAKING)
    path.write_text("\n".join(["file,label,fold", *(f"{row[:-1]}{n % 3}" for n, row in enumerate(rows))]))
    with pytest.raises(ConfigError, match="a pitch is one MIDI number a clip, such as 60, not a"):
        KINDS["pitch"](path, MAKING)


def test_a_table_of_pitches_counts_octaves(tmp_path: Path) -> None:
    rows = [f"{pitch}_{n}.wav,{pitch},{n % 3}" for pitch in (48, 60) for n in range(3)]
    path = table(tmp_path, rows)
    path.write_text("\n".join(["file,label,fold", *rows]))
    assert KINDS["pitch"](path, MAKING).metrics == ("pitch_acc", "chroma_acc")


def test_published_names_of_fsdd_and_ravdess_say_all(tmp_path: Path) -> None:
    digits = tmp_path / "fsdd" / "recordings"
    table(
        digits, [f"{digit}_{who}_{n}.wav" for digit in (3, 7) for who in ("jo", "mo", "al") for n in (0, 1)]
    )
    sketch = KINDS["fsdd"](tmp_path / "fsdd", MAKING)
    assert {one.name.split("_")[1] for one in sketch.splits["fold00"]} == {"al"}
    assert {one.labels for one in sketch.splits["fold01"]} == {("3",), ("7",)}
    emotions = tmp_path / "ravdess"
    table(
        emotions,
        [
            f"Actor_{who:02d}/03-01-{kind:02d}-01-01-01-{who:02d}.wav"
            for who in range(1, 25)
            for kind in (1, 5)
        ],
    )
    sketch = KINDS["ravdess"](emotions, MAKING)
    assert [len(entries) for entries in sketch.splits.values()] == [10, 10, 10, 10, 8]
    assert {one.labels for one in sketch.splits["fold02"]} == {("neutral",), ("angry",)}
    (digits / "hello.wav").write_bytes(b"")
    with pytest.raises(ConfigError, match=r"hello\.wav is not named like those of FSDD"):
        KINDS["fsdd"](tmp_path / "fsdd", MAKING)


@pytest.mark.parametrize("pitch", [36, 69, 95])
def test_a_rendered_tone_has_its_pitch(pitch: int) -> None:
    """The strongest period of a mistuned, swaying tone is within a semitone of it, or of an octave below."""
    for seed in range(3):
        sound = tone(pitch, (seed,), 1.0, 16000)[:8000]
        spectrum = np.abs(np.fft.rfft(sound, 2**15)) ** 2
        likeness = np.fft.irfft(spectrum)[:2000]
        period = 16000 / (440 * 2 ** ((pitch - 69) / 12))
        near = slice(int(period / 1.06), int(period * 1.06) + 2)
        assert likeness[near].max() > 0.6 * likeness[0]


def test_no_tone_is_in_two_parts() -> None:
    splits = KINDS["tones"](Path(), MAKING).splits
    sources = [one.source for entries in splits.values() for one in entries]
    assert len(set(sources)) == len(sources) == 960


def test_a_timeline_says_when_clips_begin(tones: Path, tmp_path: Path) -> None:
    making = Making(rates=(8000, 16000), recordings=5, seconds=8.0)
    folder, failed = write_task(KINDS["timeline"](tones, making), tmp_path, making)
    assert failed == []
    assert [len(read(folder / f"{split}.json")) for split in ("train", "valid", "test")] == [3, 1, 1]
    for split in ("train", "test"):
        for name, events in read(folder / f"{split}.json").items():
            sound = sounds_of(folder, split)[name]
            assert len(sound) == 8 * 16000
            assert len(events) >= 2
            for event in events:
                first, stop = (round(event[side] * 16) for side in ("start", "end"))
                overlapped = any(other["start"] < event["start"] <= other["end"] + 60 for other in events)
                before, after = (
                    np.square(sound[slice(*ends)]).mean()
                    for ends in ((first - 480, first - 16), (first, stop))
                )
                assert overlapped or after > 2 * before


def test_a_timeline_is_the_same_at_each_rate_and_for_each_call(tones: Path, tmp_path: Path) -> None:
    making = Making(rates=(8000, 16000), recordings=5, seconds=6.0)
    folder, _ = write_task(KINDS["timeline"](tones, making), tmp_path / "a", making)
    again, _ = write_task(KINDS["timeline"](tones, making), tmp_path / "b", making)
    files = sorted(path.relative_to(folder) for path in folder.rglob("*.*"))
    assert all((folder / file).read_bytes() == (again / file).read_bytes() for file in files)
    low, high = (sounds_of(folder, "train", rate)["train_0000.wav"] for rate in (8000, 16000))
    assert np.corrcoef(low, high[::2][: len(low)])[0, 1] > 0.9


def test_clips_of_a_timelines_parts_are_of_other_folds(tones: Path, tmp_path: Path) -> None:
    shutil.copytree(tones, tmp_path / "tones")
    sketch = KINDS["timeline"](tmp_path / "tones", Making(recordings=5, seconds=8.0))
    folds = {
        split: {part for entry in entries for part in "12345" if f"('{part}-" in entry.source}
        for split, entries in sketch.splits.items()
    }
    assert folds["train"] <= {"1", "2", "3"}
    assert (folds["valid"], folds["test"]) == ({"4"}, {"5"})


def test_impossible_settings_are_told(tones: Path) -> None:
    with pytest.raises(ConfigError, match="give 1000 to 192000 Hz"):
        Making(rates=(10,))
    with pytest.raises(ConfigError, match="recordings of 4 s or more"):
        KINDS["timeline"](tones, Making(seconds=2.0))
