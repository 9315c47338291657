"""HEAR's protocol: what is learned, chosen and counted, and that it can be killed."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.config import ConfigError
from earmark.evaluation.hear_tasks import HearTask, Protocol, evaluate_task, listener, read_task
from earmark.evaluation.hear_tasks.embedded import Embedded
from earmark.evaluation.hear_tasks.events import covering, decoded
from earmark.evaluation.hear_tasks.judges import judge
from earmark.evaluation.hear_tasks.keeping import Kept
from earmark.evaluation.hear_tasks.layout import Event, Round, find_tasks
from earmark.evaluation.hear_tasks.learning import Lesson, Part, learn
from earmark.evaluation.hear_tasks.listener import Listener, digest_of_model
from earmark.evaluation.hear_tasks.network import Point, grid
from earmark.evaluation.hear_tasks.published import LEADERBOARD, TASKS, published
from earmark.evaluation.hear_tasks.scores import COLLARS, OF_SOUNDS, error_rate, f_measure

SMALL = Protocol(grid_points=2, max_epochs=24, width=32, check_every=4)
RATE = 16000


@pytest.fixture(scope="module")
def logmel() -> Listener:
    return listener("logmel")


def tone(hertz: float, seconds: float = 0.3, rate: int = RATE) -> np.ndarray:
    return 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)


def write_scenes(folder: Path, splits: tuple[str, ...], each: int = 4, more: Any = None) -> Path:
    """A task of two pitches."""
    for split in splits:
        (folder / str(RATE) / split).mkdir(parents=True)
        entries: dict[str, list[str]] = {}
        for index in range(each):
            label = ("low", "high")[index % 2]
            hertz = (300, 2000)[index % 2] * (1 + 0.02 * index)
            soundfile.write(folder / str(RATE) / split / f"{split}{index}.wav", tone(hertz), RATE)
            entries[f"{split}{index}.wav"] = [label]
        (folder / f"{split}.json").write_text(json.dumps(entries))
    (folder / "labelvocabulary.csv").write_text("idx,label\n0,high\n1,low\n")
    told: dict[str, Any] = {
        "task_name": "pitches",
        "embedding_type": "scene",
        "prediction_type": "multiclass",
    }
    told |= {"split_mode": "presplit_kfold", "splits": list(splits), "sample_duration": 0.3}
    told |= {"evaluation": ["top1_acc", "mAP", "aucroc", "something_new"]} | (more or {})
    (folder / "task_metadata.json").write_text(json.dumps(told))
    return folder


FOLDS = ("fold00", "fold01", "fold02")


@pytest.fixture
def folds(tmp_path: Path) -> Path:
    return write_scenes(tmp_path / "pitches-v1-full", FOLDS)


def without_seconds(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {name: without_seconds(value) for name, value in tree.items() if "cpu_seconds" not in name}
    return [without_seconds(value) for value in tree] if isinstance(tree, list) else tree


def test_what_embeddings_tell_apart_is_learned(folds: Path, tmp_path: Path, logmel: Listener) -> None:
    told = evaluate_task(read_task(folds), logmel, SMALL, Kept(tmp_path / "kept"))
    assert told["metrics"]["top1_acc"] == {"mean": 1.0, "deviation": 0.0}
    assert [(fold["test"], fold["valid"]) for fold in told["folds"]] == [
        ("fold00", "fold01"),
        ("fold01", "fold02"),
        ("fold02", "fold00"),
    ]
    assert (told["failed"], told["left_out"], told["sounds"]) == ([], ["something_new"], 12)


def scene_task(labels: tuple[str, ...], names: dict[str, list[str]]) -> HearTask:
    """A task that lies nowhere; names of sounds are `LABEL NUMBER`."""
    splits: dict[str, Any] = {
        split: {name: (name.split()[0],) for name in some} for split, some in names.items()
    }
    return HearTask(Path("nowhere"), "made", "scene", True, labels, ("top1_acc",), None, splits)


def lesson_of(vectors: dict[str, np.ndarray], names: dict[str, list[str]]) -> Lesson:
    labels = tuple("abcd")
    task = scene_task(labels, names)
    parts: dict[str, Part] = {}
    judges: dict[str, Any] = {}
    for split, some in names.items():
        count = np.ones(len(some), dtype=np.int64)
        found = Embedded(tuple(some), (), count, vectors[split], np.zeros(len(some), np.float32), 0.0, "")
        judges[split] = judge(task, split, found)
        targets = judges[split].targets.astype(np.float32)
        parts[split] = Part(torch.from_numpy(vectors[split]), torch.from_numpy(targets))
    train, valid, test = (parts[split] for split in ("train", "valid", "test"))
    return Lesson(train, valid, test, judges["valid"], judges["test"], ("top1_acc",), True)


def drawn(knows: float) -> Lesson:
    """Vectors of four classes that lie so far apart."""
    draw = np.random.default_rng(0)
    names = {
        split: [f"{'abcd'[i % 4]} {i}" for i in range(count)]
        for split, count in (("train", 200), ("valid", 80), ("test", 400))
    }
    vectors = {
        split: (
            draw.standard_normal((len(some), 8)) + knows * np.eye(8)[["abcd".index(n[0]) for n in some]]
        ).astype(np.float32)
        for split, some in names.items()
    }
    return lesson_of(vectors, names)


def test_vectors_that_know_nothing_score_chance() -> None:
    found = learn(drawn(0.0), grid(SMALL)[0], SMALL, 0)
    assert abs(found["test"]["top1_acc"] - 0.25) < 0.08  # more than three standard errors


def test_vectors_that_know_all_score_all() -> None:
    assert learn(drawn(12.0), Point(1, 3.2e-3, "normal"), SMALL, 0)["test"]["top1_acc"] > 0.99


def test_learning_stops_when_patience_is_over_and_is_the_same_twice() -> None:
    protocol = SMALL.replace(max_epochs=400, patience=3)
    before = torch.random.get_rng_state()
    first, again = (learn(drawn(0.0), grid(SMALL)[1], protocol, 1) for _ in range(2))
    assert without_seconds(first) == without_seconds(again)
    assert first["epoch"] < 300
    assert torch.equal(before, torch.random.get_rng_state())


@given(st.integers(3, 12))
def test_folds_go_round(count: int) -> None:
    names = [f"fold{place:02d}" for place in range(count)]
    task = scene_task(("a",), {name: ["a 1"] for name in names})
    rounds = task.rounds
    assert [one.test for one in rounds] == names
    assert [one.valid for one in rounds] == [*names[1:], names[0]]
    assert all(
        {*one.train, one.valid, one.test} == set(names) and len(one.train) == count - 2 for one in rounds
    )


def test_three_parts_are_one_round() -> None:
    task = scene_task(("a",), {name: ["a 1"] for name in ("train", "valid", "test")})
    assert task.rounds == (Round(("train",), "valid", "test"),)


class Killed(BaseException):
    pass


class Dying(Kept):
    """Dies when the next result comes."""

    def keep_numbers(self, key: str, values: dict[str, Any]) -> None:
        if len(list(self.folder.rglob("*.json"))) >= 3:
            raise Killed
        super().keep_numbers(key, values)


def test_a_killed_evaluation_goes_on_to_the_same_end(folds: Path, tmp_path: Path, logmel: Listener) -> None:
    task = read_task(folds)
    whole = evaluate_task(task, logmel, SMALL, Kept(tmp_path / "a"))
    with pytest.raises(Killed):
        evaluate_task(task, logmel, SMALL, Dying(tmp_path / "b"))
    heard: list[float] = []
    resumed = evaluate_task(task, logmel, SMALL, Kept(tmp_path / "b"), heard.append)
    assert without_seconds(resumed) == without_seconds(whole)
    assert heard == []  # nothing was embedded again
    assert evaluate_task(task, logmel, SMALL, Kept(tmp_path / "b")) == resumed  # nor learned, to the second


@pytest.mark.slow
def test_a_damaged_memory_is_made_anew(folds: Path, tmp_path: Path, logmel: Listener) -> None:
    task, kept = read_task(folds), Kept(tmp_path / "kept")
    whole = evaluate_task(task, logmel, SMALL, kept)
    for path in kept.folder.rglob("*.*"):
        path.write_bytes(path.read_bytes()[:-20])
    assert without_seconds(evaluate_task(task, logmel, SMALL, kept)) == without_seconds(whole)


def test_other_sound_or_another_model_is_embedded_again(
    folds: Path, tmp_path: Path, logmel: Listener
) -> None:
    kept = Kept(tmp_path / "kept")
    evaluate_task(read_task(folds), logmel, SMALL, kept)
    soundfile.write(folds / str(RATE) / "fold00" / "fold000.wav", tone(500), RATE)
    heard: list[float] = []
    evaluate_task(read_task(folds), logmel, SMALL, kept, heard.append)
    assert len(heard) == 4  # its split
    with torch.no_grad():
        other = listener("logmel")
        next(other.model.parameters()).add_(1)
    assert listener("logmel").digest == logmel.digest
    assert digest_of_model(other.module, other.model, {}) != logmel.digest
    assert listener("logmel", how={"batch": 4}).digest != logmel.digest


def test_a_damaged_file_is_named_and_counts_as_wrong(tmp_path: Path, logmel: Listener) -> None:
    folds = write_scenes(tmp_path / "pitches-v1-full", FOLDS, each=10)
    (folds / str(RATE) / "fold01" / "fold012.wav").write_bytes(b"no sound")
    (folds / str(RATE) / "fold02" / "fold024.wav").unlink()
    told = evaluate_task(read_task(folds), logmel, SMALL, Kept(tmp_path / "kept"))
    assert [sentence.partition(":")[0] for sentence in told["failed"]] == [
        "fold01/fold012.wav",
        "fold02/fold024.wav",
    ]
    assert [fold["chosen"]["test"]["top1_acc"] for fold in told["folds"]] == [1.0, 0.9, 0.9]
    assert told["metrics"]["mAP"]["mean"] == 1.0  # left out


def test_sounds_of_another_rate_are_resampled(folds: Path, tmp_path: Path, logmel: Listener) -> None:
    (folds / str(RATE)).rename(folds / "48000")
    for path in (folds / "48000").rglob("*.wav"):
        hertz = np.argmax(np.abs(np.fft.rfft(soundfile.read(path)[0]))) / 0.3
        soundfile.write(path, tone(float(hertz), rate=48000), 48000)
    told = evaluate_task(read_task(folds), logmel, SMALL, Kept(tmp_path / "kept"))
    assert told["metrics"]["top1_acc"]["mean"] == 1.0


def write_events(folder: Path) -> Path:
    """Tones in silence; each is an event."""
    draw = np.random.default_rng(0)
    for split in ("train", "valid", "test"):
        (folder / str(RATE) / split).mkdir(parents=True)
        entries: dict[str, list[dict[str, Any]]] = {}
        for index in range(3):
            sound = 0.001 * draw.standard_normal(4 * RATE)
            events: list[dict[str, Any]] = []
            for start, label in ((0.5, "low"), (1.5, "high"), (2.75, "low")):
                begin = start + float(draw.uniform(-0.1, 0.1))
                first = round(begin * RATE)
                sound[first : first + RATE // 2] += tone({"low": 300, "high": 2500}[label], 0.5)
                events.append({"label": label, "start": 1000 * begin, "end": 1000 * begin + 500})
            soundfile.write(folder / str(RATE) / split / f"{index}.wav", sound, RATE)
            entries[f"{index}.wav"] = events
        (folder / f"{split}.json").write_text(json.dumps(entries))
    (folder / "labelvocabulary.csv").write_text("idx,label\n0,high\n1,low\n")
    told: dict[str, Any] = {"task_name": "beeps", "embedding_type": "event", "prediction_type": "multilabel"}
    told |= {"split_mode": "trainvaltest", "evaluation": ["event_onset_200ms_fms", "segment_1s_er"]}
    (folder / "task_metadata.json").write_text(json.dumps(told | {"sample_duration": 4.0}))
    return folder


def test_events_are_found_where_they_are(tmp_path: Path, logmel: Listener) -> None:
    task = read_task(write_events(tmp_path / "beeps-v1-full"))
    told = evaluate_task(task, logmel, SMALL.replace(max_epochs=60), Kept(tmp_path / "kept"))
    assert told["metrics"]["event_onset_200ms_fms"]["mean"] > 0.9
    assert told["metrics"]["segment_1s_er"]["mean"] < 0.2
    assert told["folds"][0]["chosen"]["processing"]["median_filter"] == 250.0


@pytest.mark.slow
def test_missed_sounds_of_a_timeline_are_missed_events(tmp_path: Path, logmel: Listener) -> None:
    folder = write_events(tmp_path / "beeps-v1-full")
    (folder / str(RATE) / "test" / "0.wav").write_bytes(b"no sound")
    protocol = SMALL.replace(max_epochs=60)
    told = evaluate_task(read_task(folder), logmel, protocol, Kept(tmp_path / "kept"))
    assert told["metrics"]["event_onset_200ms_fms"]["mean"] <= 2 * 6 / (9 + 6)


TIMES = np.arange(80) * 50.0


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 4), st.sampled_from("ab")), max_size=6))
def test_events_come_back_from_their_own_labels(drawn: list[tuple[int, int, str]]) -> None:
    """Each has a stretch of time of its own, on the grid of points in time."""
    true = sorted(
        {
            place: Event(label, 450.0 * place, 450.0 * place + 50.0 * (3 + length // 2))
            for place, length, label in drawn
        }.values(),
        key=lambda event: event.start,
    )
    scores = covering(true, TIMES, "ab").astype(float)
    assert decoded(scores, TIMES, "ab", 0.0, 125.0) == true


def test_short_gaps_and_blips_are_smoothed_away() -> None:
    scores = np.zeros((80, 1))
    scores[[5, *range(20, 30), *range(31, 40)]] = 0.9
    assert decoded(scores, TIMES, ["a"], 250.0, 125.0) == [Event("a", 1000.0, 1950.0)]
    assert len(decoded(scores, TIMES, ["a"], 0.0, 0.0)) == 3


ONE = {"x": [Event("a", 1000.0, 2000.0), Event("b", 1100.0, 1500.0)], "y": [Event("a", 0.0, 400.0)]}


@pytest.mark.parametrize(
    ("found", "metric", "wanted"),
    [
        (ONE, "event_onset_50ms_fms", 1.0),
        ({"x": [Event("a", 1150.0, 9000.0)]}, "event_onset_200ms_fms", 2 * 1 / (3 + 1)),
        ({"x": [Event("a", 1150.0, 2000.0)]}, "event_onset_50ms_fms", 0.0),
        ({"x": [Event("b", 1000.0, 2000.0)]}, "event_onset_50ms_fms", 0.0),  # b begins 100 ms later
        ({"x": [Event("a", 1010.0, 2190.0)]}, "event_onset_offset_50ms_20perc_fms", 2 * 1 / 4),
        ({"x": [Event("a", 1010.0, 2210.0)]}, "event_onset_offset_50ms_20perc_fms", 0.0),
        ({"x": [Event("a", 990.0, 1200.0), Event("a", 1010.0, 2000.0)]}, "event_onset_50ms_fms", 2 * 1 / 5),
        ({}, "event_onset_200ms_fms", 0.0),
    ],
)
def test_f_is_what_one_counts_by_hand(found: dict[str, Any], metric: str, wanted: float) -> None:
    assert f_measure(found, ONE, "ab", COLLARS[metric]) == pytest.approx(wanted)


def test_the_error_rate_is_what_one_counts_by_hand() -> None:
    true = {"x": [Event("a", 0.0, 2500.0)]}  # three segments
    assert error_rate(true, true, "ab") == 0.0
    assert error_rate({}, true, "ab") == 1.0
    assert error_rate({"x": [Event("b", 0.0, 2500.0)]}, true, "ab") == 1.0  # three substitutions
    assert error_rate({"x": [*true["x"], Event("b", 3000.0, 4500.0)]}, true, "ab") == pytest.approx(2 / 3)
    assert math.isnan(error_rate({}, {"x": []}, "ab"))


def test_metrics_of_sounds_agree_with_scikit_learn() -> None:
    from sklearn.metrics import average_precision_score, roc_auc_score

    draw = np.random.default_rng(1)
    targets = draw.random((60, 5)) < 0.3
    scores = draw.random((60, 5)) + 0.3 * targets
    labels = tuple("abcde")
    assert OF_SOUNDS["mAP"](scores, targets, labels) == pytest.approx(
        average_precision_score(targets, scores)
    )
    assert OF_SOUNDS["aucroc"](scores, targets, labels) == pytest.approx(roc_auc_score(targets, scores))
    aucs = np.asarray(roc_auc_score(targets, scores, average=None))
    from scipy.stats import norm

    assert OF_SOUNDS["d_prime"](scores, targets, labels) == pytest.approx(
        float((norm.ppf(aucs) * 2**0.5).mean())
    )


def test_an_octave_is_forgiven_by_chroma_alone() -> None:
    labels = tuple(map(str, range(36, 72)))
    targets, scores = np.eye(36, dtype=bool)[[0, 5]], np.eye(36)[[24, 5]]
    assert OF_SOUNDS["pitch_acc"](scores, targets, labels) == 0.5
    assert OF_SOUNDS["chroma_acc"](scores, targets, labels) == 1.0


SPOILED = {
    "task_metadata.json": [
        ("{", "cannot be read as JSON"),
        ("[]", "must be an object"),
        ('{"embedding_type": "song"}', "embedding_type is 'song'; give scene or event"),
        ('{"embedding_type": "scene", "prediction_type": "x"}', "prediction_type is 'x'"),
    ],
    "labelvocabulary.csv": [
        ("label\nhigh\n", "needs columns idx"),
        ("idx,label\n0,high\n2,low\n", "without gaps"),
        ("idx,label\n0,high\n1,high\n", "without gaps"),
    ],
    "fold01.json": [
        ("{}", "lists no sounds"),
        ('{"a.wav": ["loud"]}', "'loud' is not in labelvocabulary.csv"),
        ('{"a.wav": ["low", "high"]}', "each sound has one"),
    ],
}


@pytest.mark.parametrize(
    ("file", "text", "words"), [(f, *pair) for f, pairs in SPOILED.items() for pair in pairs]
)
def test_a_bad_layout_is_told_with_its_file(folds: Path, file: str, text: str, words: str) -> None:
    (folds / file).write_text(text)
    with pytest.raises(ConfigError) as told:
        read_task(folds)
    assert file in str(told.value)
    assert words in str(told.value)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"splits": ["fold00", "fold01"]}, "3 different folds or more"),
        ({"evaluation": []}, "give a list of metrics"),
        ({"evaluation_params": {"event_postprocessing_grid": {"min_duration": [-1]}}}, "milliseconds"),
    ],
)
def test_bad_metadata_are_told(tmp_path: Path, more: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_task(write_scenes(tmp_path / "odd-v1-full", FOLDS, more=more))


def test_bad_events_are_told(tmp_path: Path) -> None:
    folder = write_events(tmp_path / "beeps-v1-full")
    (folder / "test.json").write_text('{"0.wav": [{"label": "low", "start": 5, "end": 1}]}')
    with pytest.raises(ConfigError, match=r"test\.json.*is no event"):
        read_task(folder)


def test_an_unknown_first_metric_and_a_missing_folder_are_told(
    folds: Path, tmp_path: Path, logmel: Listener
) -> None:
    told = json.loads((folds / "task_metadata.json").read_text())
    (folds / "task_metadata.json").write_text(
        json.dumps(told | {"evaluation": ["something_new", "top1_acc"]})
    )
    with pytest.raises(ConfigError, match="the first metric is 'something_new'"):
        evaluate_task(read_task(folds), logmel, SMALL, Kept(tmp_path / "kept"))
    (folds / "task_metadata.json").write_text(json.dumps(told))
    (folds / str(RATE)).rename(folds / "sounds")
    with pytest.raises(ConfigError, match="has no sounds of fold00"):
        evaluate_task(read_task(folds), logmel, SMALL, Kept(tmp_path / "kept"))
    with pytest.raises(ConfigError, match="holds no HEAR tasks"):
        find_tasks(tmp_path / "nothing")


def test_folds_need_no_list_of_splits(tmp_path: Path) -> None:
    """As hear-preprocess wrote them at first."""
    folder = write_scenes(tmp_path / "old-v1-full", FOLDS)
    told = json.loads((folder / "task_metadata.json").read_text())
    del told["splits"], told["task_name"]
    (folder / "task_metadata.json").write_text(json.dumps(told | {"nfolds": 3}))
    task = read_task(folder)
    assert (tuple(task.splits), task.name) == (FOLDS, "old")


def test_the_leaderboard_has_a_row_for_each_of_its_tasks() -> None:
    assert {len(row) for row in LEADERBOARD.values()} == {len(TASKS)}
    assert published("esc50", "esc50-v2.0.0-full")["mn04_as"] == 0.918
    assert published("fsdd", "fsdd-earmark1-full") == {}
