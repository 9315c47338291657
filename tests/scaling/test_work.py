"""One process at work: the rows of the one-machine run, written whole or not at all; and their readers."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earmark.cli import main
from earmark.config import ConfigError
from earmark.inference import arrays, tables
from earmark.inference.embedding import embed_items
from earmark.inference.formats import of_embeddings, of_tags, write_embeddings, write_tags
from earmark.inference.parts import INDEX, measured, part_name, parts_of, write_index
from earmark.inference.placing import ear_of
from earmark.inference.settings import EmbedSettings, Run, TagSettings
from earmark.inference.sources import Search
from earmark.inference.tags import tag_items
from earmark.scaling.engine import Actor
from earmark.scaling.plan import Plan, make_plan, missing
from earmark.scaling.work import Done, Hands, Work
from earmark.search.stored import read_stored
from inference.sounds import make_model, write_sounds

RUN = Run(workers=0, batch=2)
BAD, NO_SOUND = "sound.wav", "not audio: the content is a RIFF file without sound"


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    folder = tmp_path / "sounds"
    folder.mkdir()
    write_sounds(folder, 0.5, 0.5, 1.3, 0.4, 0.7, 2.2, 0.5)
    (folder / BAD).write_bytes(b"RIFF")
    return folder


def hear_vectors(threads: int) -> Callable[..., Iterator[Any]]:
    model = make_model()
    return lambda items, pool: embed_items(items, model, EmbedSettings(window=0.5), RUN, pool)


def hear_tags(threads: int) -> Callable[..., Iterator[Any]]:
    ear = ear_of(make_model())
    return lambda items, pool: tag_items(items, ear, TagSettings(window=0.5), RUN, pool)


VERBS = {"embed": (hear_vectors, of_embeddings, write_embeddings), "tag": (hear_tags, of_tags, write_tags)}
READ = {"embed": arrays.read_parquet, "tag": tables.read_parquet}


def begun(folder: str, sounds: Path, verb: str = "embed") -> tuple[Work, Plan]:
    hear, record, write = VERBS[verb]
    return Work(folder, RUN, hear, record, write), make_plan(folder, Search([str(sounds)]), {}, RUN.batch)


def all_done(work: Work, plan: Plan) -> list[Done]:
    done = [Hands(work).do(block) for block in reversed(plan.blocks)]
    write_index(work.folder, [one.part for one in reversed(done)])
    return done


@pytest.mark.parametrize("verb", ["embed", "tag"])
def test_a_folder_of_parts_reads_as_the_file_of_one_machine(tmp_path: Path, sounds: Path, verb: str):
    work, plan = begun(str(tmp_path / "parts"), sounds, verb)
    assert len(plan.blocks) == 4
    done = all_done(work, plan)
    assert sum(one.part.failed for one in done) == 1
    assert [line for one in done for line in one.told] == [f"{sounds / BAD}: {NO_SOUND}"]
    hear, record, write = VERBS[verb]
    results = [record(result) for result in hear(1)(iter(Search([str(sounds)])), None)]
    with (tmp_path / "here.parquet").open("wb") as file:
        write(file, "parquet", False, lambda: results)
    here, there = list(READ[verb](tmp_path / "here.parquet")), list(READ[verb](tmp_path / "parts"))
    assert [one.path for one in here] == [one.path for one in there]
    if verb == "tag":
        assert here == there
        return
    stored = read_stored(tmp_path / "here.parquet"), read_stored(tmp_path / "parts")
    assert stored[0].paths == stored[1].paths
    assert np.array_equal(stored[0].starts, stored[1].starts)
    assert np.allclose(stored[0].vectors, stored[1].vectors, atol=1e-6)


def test_a_block_that_is_done_twice_is_the_same_bytes(tmp_path: Path, sounds: Path):
    work, plan = begun(str(tmp_path), sounds)
    hands = Hands(work)
    first = hands.do(plan.blocks[1])
    written = (tmp_path / first.part.name).read_bytes()
    assert hands.do(plan.blocks[1]) == first
    assert (tmp_path / first.part.name).read_bytes() == written
    assert plan.blocks[1] not in missing(str(tmp_path), plan)


def test_a_part_that_cannot_be_finished_is_not_there(tmp_path: Path, sounds: Path):
    def torn(file: Any, *_: Any) -> None:
        file.write(b"PAR1")
        raise OSError("the disk is full")

    work, plan = begun(str(tmp_path), sounds)
    with pytest.raises(OSError, match="the disk is full"):
        Hands(work._replace(write=torn)).do(plan.blocks[0])
    assert missing(str(tmp_path), plan) == plan.blocks


def test_parts_may_lie_elsewhere(sounds: Path):
    folder = f"memory://work{sounds}"
    work, plan = begun(folder, sounds)
    all_done(work, plan)
    assert missing(folder, plan) == []
    assert len(parts_of(folder)) == 4
    assert measured(folder, part_name(0)).rows > 0
    assert (
        len(read_stored(Path(folder)).vectors)
        == sum(measured(folder, part_name(n)).rows for n in range(4)) - 1
    )


def test_an_unfinished_folder_is_not_read_as_if_it_were_all(tmp_path: Path, sounds: Path):
    work, plan = begun(str(tmp_path / "parts"), sounds)
    Hands(work).do(plan.blocks[0])
    with pytest.raises(ConfigError, match=r"without index.json.*finishes it with --resume"):
        read_stored(tmp_path / "parts")
    (tmp_path / "parts" / INDEX).write_text("{}")
    with pytest.raises(ConfigError, match=r"its index.json is damaged"):
        list(arrays.read_parquet(tmp_path / "parts"))


def test_what_a_user_can_mend_comes_back_from_an_actor_as_words(tmp_path: Path, sounds: Path):
    def no_model(threads: int) -> Any:
        raise ConfigError("no model 'x'")

    work, plan = begun(str(tmp_path / "parts"), sounds)
    batch = {"block": np.array([list(plan.blocks[0])])}
    answer = Actor(work._replace(prepare=no_model))(batch)
    assert answer == {"done": [""], "trouble": ["no model 'x'"], "at_writing": [False]}
    answer = Actor(work)(batch)
    assert Done.from_json(answer["done"][0]).part.name == part_name(0)
    (tmp_path / "parts" / "items.jsonl").unlink()
    assert Actor(work)(batch)["at_writing"] == [True]


def test_a_bug_is_no_trouble_of_the_user_s(tmp_path: Path, sounds: Path):
    def broken(result: Any) -> Any:
        raise AttributeError(result)

    work, plan = begun(str(tmp_path), sounds)
    with pytest.raises(AttributeError):
        Actor(work._replace(record=broken))({"block": np.array([list(plan.blocks[0])])})


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["embed", "--out", "vectors.npz", "--address", "auto"],
            "--address is of a Ray cluster; add --engine ray",
        ),
        (["tag", "--engine", "ray"], "--engine ray needs --out FOLDER"),
        (
            ["tag", "--engine", "ray", "--out", "o", "--format", "csv"],
            "--engine ray writes parquet, and csv is",
        ),
        (["tag", "--engine", "ray", "--out", "o", "--events"], "events cannot be written as parquet"),
        (["embed", "--engine", "ray", "--out", "o", "--device", "cuda:1"], "Ray gives each process a card"),
        (["embed", "--engine", "ray", "--out", "file"], "file is a file, and --engine ray writes a folder"),
        (["embed", "--engine", "ray", "--out", "o", "--model", "nix"], "no model 'nix'"),
    ],
)
def test_wrong_calls_are_answered_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], arguments, sentence
):
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    with pytest.raises(SystemExit) as ended:
        main([arguments[0], "sounds", *arguments[1:]])
    assert ended.value.code == 2
    assert sentence in capfd.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_stretches_of_a_table_are_heard_as_they_are_on_one_machine(tmp_path: Path, sounds: Path):
    table = sounds / "clips.csv"
    table.write_text("file,start,end\nsound005.wav,0.5,1\nsound005.wav,1.25,\nsound000.wav,,\n")
    work, plan = begun(str(tmp_path / "parts"), table)
    all_done(work, plan)
    here = list(hear_vectors(1)(iter(Search([str(table)])), None))
    there = list(arrays.read_parquet(tmp_path / "parts"))
    assert [one.path.rpartition("/")[2] for one in there] == [one.path.rpartition("/")[2] for one in here]
    assert [one.ends.tolist() for one in there] == [one.ends.tolist() for one in here]
    assert "#t=" in there[0].path
