"""The plan of a run over many machines: nothing is lost, nothing is repeated, and nothing else is resumed."""

import io
import os
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.config import ConfigError
from earmark.inference.parts import part_name
from earmark.inference.sources import Item, Part
from earmark.scaling import plan as planning
from earmark.scaling.plan import Block, anywhere, found_plan, items_of, make_plan, missing
from earmark.storage import inside

SETTINGS = {"verb": "embed", "model": "builtin", "layer": None, "paths": "sounds"}
NAMES = st.text("a/é\n \U0001f415", min_size=1, max_size=6)
PLACES = NAMES.map(lambda name: f"/sounds/{name.replace('/', '')}x")
STRETCHES = st.builds(
    Part, PLACES, st.none() | st.integers(0, 99), st.floats(0, 9), st.none() | st.floats(10, 20)
)
ITEMS = st.lists(
    st.builds(Item, NAMES, PLACES | STRETCHES)
    | st.builds(Item, NAMES, st.just("s3://bucket/dog.wav") | st.just("/odd\udcff.wav"))
    | st.builds(Item, NAMES, st.none(), st.just("there is no such file or folder")),
    min_size=1,
    max_size=24,
)


@settings(max_examples=20)
@given(items=ITEMS, batch=st.integers(1, 9), largest=st.integers(1, 20), fewest=st.integers(1, 6))
def test_the_blocks_are_the_items_in_order_and_whole_batches_but_the_last(items, batch, largest, fewest):
    folder = f"memory://plans/{uuid4()}"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(planning, "LARGEST", largest)
        patch.setattr(planning, "FEWEST", fewest)
        plan = make_plan(folder, items, SETTINGS, batch)
        blocks = [items_of(folder, block) for block in plan.blocks]
        assert [item for block in blocks for item in block] == items
        assert [len(block) for block in blocks] == [block.items for block in plan.blocks]
        assert all(len(block) % batch == 0 for block in blocks[:-1])
        assert all(0 < len(block) <= max(batch, largest + batch) for block in blocks)
        assert [block.number for block in plan.blocks] == list(range(len(blocks)))
        assert found_plan(folder, SETTINGS) == plan


def test_many_items_make_blocks_of_the_largest_size_and_few_make_many_blocks(tmp_path: Path):
    def sizes(count: int) -> list[int]:
        items = [Item(str(index), "/a.wav") for index in range(count)]
        return [block.items for block in make_plan(str(tmp_path / str(count)), items, {}, 16).blocks]

    assert set(sizes(20_000)) == {256, 20_000 % 256}
    assert sizes(40) == [16, 16, 8]
    assert len(sizes(2000)) > 60


def test_a_path_is_found_from_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    plan = make_plan("out", [Item("a.wav", "a.wav"), Item("b", Part("b.wav", row=3))], {}, 16)
    [first, second] = items_of("out", plan.blocks[0])
    assert first == Item("a.wav", os.fspath(tmp_path / "a.wav"))
    assert second == Item("b", Part(os.fspath(tmp_path / "b.wav"), row=3))


def test_only_blocks_without_a_part_are_missing(tmp_path: Path):
    plan = make_plan(str(tmp_path), [Item(str(index), "/a.wav") for index in range(50)], SETTINGS, 16)
    assert missing(str(tmp_path), plan) == plan.blocks
    for number in (0, 2):
        (tmp_path / part_name(number)).touch()
    assert [block.number for block in missing(str(tmp_path), plan)] == [1, 3]


def test_another_run_is_not_resumed_and_a_run_is_not_begun_twice(tmp_path: Path):
    folder = str(tmp_path / "out")
    assert found_plan(folder, SETTINGS) is None
    make_plan(folder, [Item("a", "/a.wav")], SETTINGS, 16)
    with pytest.raises(ConfigError, match="was begun with layer=None, this run has layer=3; resume with"):
        found_plan(folder, {**SETTINGS, "layer": 3})
    with pytest.raises(ConfigError, match="holds a run already; go on with it by --resume"):
        make_plan(folder, [Item("a", "/a.wav")], SETTINGS, 16)
    (tmp_path / "out" / planning.PLAN).write_text('{"settings": {}}')
    with pytest.raises(ConfigError, match="is damaged"):
        found_plan(folder, SETTINGS)


def test_a_walk_that_ends_too_early_leaves_no_plan(tmp_path: Path):
    def walk() -> Iterator[Item]:
        yield Item("a", "/a.wav")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_plan(str(tmp_path), walk(), SETTINGS, 16)
    assert not list(tmp_path.iterdir())


def test_what_only_this_process_can_hear_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="-: other processes cannot hear it"):
        make_plan(str(tmp_path), [Item("-", io.BytesIO())], SETTINGS, 16)


def test_a_plan_may_lie_elsewhere():
    folder = "memory://scaling/plan"
    plan = make_plan(folder, [Item("a", "/a.wav"), Item("b", "/b.wav")], SETTINGS, 16)
    assert found_plan(folder, SETTINGS) == plan
    assert missing(folder, plan) == plan.blocks == [Block(0, 0, plan.blocks[0].stop, 2)]
    assert [item.name for item in items_of(folder, plan.blocks[0])] == ["a", "b"]
    assert inside(folder, "x") == "memory://scaling/plan/x"


def test_a_path_means_the_same_elsewhere_also_behind_a_link(tmp_path, monkeypatch):
    (tmp_path / "far" / "in").mkdir(parents=True)
    (tmp_path / "far" / "dog.wav").write_bytes(b"here")
    (tmp_path / "link").symlink_to(tmp_path / "far" / "in")
    monkeypatch.chdir(tmp_path)
    found = anywhere("link/../dog.wav")
    monkeypatch.chdir("/")
    assert Path(found).read_bytes() == b"here"
    assert anywhere("s3://bucket/a/../dog.wav") == "s3://bucket/a/../dog.wav"


def test_parts_without_a_plan_are_not_gone_on_with(tmp_path):
    (tmp_path / part_name(0)).write_bytes(b"")
    with pytest.raises(ConfigError, match="parts and no plan"):
        make_plan(str(tmp_path), [Item("a", "/a.wav")], SETTINGS, 4)
