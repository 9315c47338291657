"""What a run over many machines shall hear: walked once, cut into blocks, written down before any work."""

import json
import os
from array import array
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from earmark.audio import displayable
from earmark.config import ConfigError
from earmark.inference.journal import refuse_others
from earmark.inference.parts import names_of_parts, part_name
from earmark.inference.sources import Item, Part
from earmark.storage import committed, exists, inside, is_address, opened_file, read_bytes

PLAN, ITEMS = "plan.json", "items.jsonl"
LARGEST = 256
"""Items in a block at most: what is done again when a machine dies in the middle of one."""
FEWEST = 64
"""Blocks at least, as far as there are items, so that there is work for many machines."""


class Block(NamedTuple):
    """Some items that follow one another.

    Attributes:
        number: its place in the order of blocks, from 0.
        start: where the first of its lines begins in `ITEMS`, in bytes.
        stop: where the last one ends.
        items: how many there are.
    """

    number: int
    start: int
    stop: int
    items: int


class Plan(NamedTuple):
    """A run, cut into blocks.

    Attributes:
        settings: what must be the same when it is resumed.
        blocks: the blocks, in order.
    """

    settings: dict[str, Any]
    blocks: list[Block]


def make_plan(folder: str, items: Iterable[Item], settings: dict[str, Any], batch: int) -> Plan:
    """Walk the items and write the plan: a line for each, and then, as the last word, where blocks begin.

    Args:
        folder: a path or an address.
        items: what shall be heard.
        settings: plain JSON values that must be the same when the run is resumed.
        batch: windows that go through the model together.  Blocks are whole batches, so that clips of one
            length meet the neighbors that they have on one machine.

    Raises:
        ConfigError: the folder holds a run already, or an item can be heard in this process only.
        OSError: the folder cannot be written.
    """
    if not is_address(folder):
        Path(folder).mkdir(parents=True, exist_ok=True)
    if names_of_parts(folder) and not exists(inside(folder, PLAN)):
        raise ConfigError(
            f"{displayable(folder)} holds parts and no {PLAN}, so nobody knows of what; give another folder"
        )
    if exists(inside(folder, PLAN)):
        raise ConfigError(
            f"{displayable(folder)} holds a run already; go on with it by --resume, or give another folder"
        )
    ends = array("Q", [0])
    with committed(inside(folder, ITEMS)) as file:
        for item in items:
            ends.append(ends[-1] + _write_line(file, item))
    plan = Plan(settings, _cut(ends, batch))
    with committed(inside(folder, PLAN)) as file:
        file.write(json.dumps(plan._asdict()).encode())
    return plan


def found_plan(folder: str, settings: dict[str, Any]) -> Plan | None:
    """The plan in a folder, if there is one.

    Raises:
        ConfigError: it is of other settings, or damaged.
        OSError: the folder cannot be read.
    """
    path = inside(folder, PLAN)
    if not exists(path):
        return None
    try:
        told = json.loads(read_bytes(path))
        plan = Plan(told["settings"], [Block(*block) for block in told["blocks"]])
    except (ValueError, LookupError, TypeError) as error:
        raise ConfigError(f"{displayable(path)}: is damaged ({error}); give another folder") from None
    refuse_others(folder, plan.settings, settings, "give another folder")
    return plan


def missing(folder: str, plan: Plan) -> list[Block]:
    """The blocks whose parts are not there."""
    there = names_of_parts(folder)
    return [block for block in plan.blocks if part_name(block.number) not in there]


def items_of(folder: str, block: Block) -> list[Item]:
    """The items of a block; no other line is read.

    Raises:
        OSError: the plan cannot be read.
    """
    with opened_file(inside(folder, ITEMS)) as file:
        file.seek(block.start)
        lines = file.read(block.stop - block.start).splitlines()
    return [_item(*json.loads(line)) for line in lines]


def _cut(ends: "array[int]", batch: int) -> list[Block]:
    """Blocks of equal length but the last."""
    items = len(ends) - 1
    length = batch * max(1, round(min(LARGEST, items / FEWEST) / batch))
    borders = [*range(0, items, length), items]
    return [
        Block(number, ends[first], ends[last], last - first)
        for number, (first, last) in enumerate(pairwise(borders))
    ]


def _write_line(file: BinaryIO, item: Item) -> int:
    line = json.dumps([item.name, _source_told(item), item.error]).encode() + b"\n"
    return file.write(line)


def _source_told(item: Item) -> Any:
    """Where an item lies, in words that another machine understands."""
    source = item.source
    if source is None:
        return None
    if isinstance(source, str):
        return anywhere(source)
    if isinstance(source, Part):
        return source._replace(path=anywhere(source.path))
    raise ConfigError(f"{item.name}: other processes cannot hear it; --engine ray takes files and addresses")


def anywhere(path: str) -> str:
    """A path that means the same wherever the command is given; `..` stays, as it may lie behind a link."""
    return path if is_address(path) else os.path.join(os.getcwd(), path)  # noqa: PTH109, PTH118  (odd names)


def _item(name: str, told: Any, error: str | None) -> Item:
    if isinstance(told, list):
        return Item(name, Part(*told), error)
    return Item(name, told, error)
