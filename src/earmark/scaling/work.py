"""How one process hears blocks: the path of the one-machine run, from items to a finished file."""

import json
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from earmark.audio import AudioWarning
from earmark.audio.pool import Pool
from earmark.inference.journal import Journal, Record
from earmark.inference.parquet import pyarrow
from earmark.inference.parts import PartFile, measured, part_name
from earmark.inference.settings import Run
from earmark.inference.sources import Item
from earmark.inference.tables import reason
from earmark.scaling.plan import Block, items_of
from earmark.storage import committed, inside

Hear = Callable[[Iterator[Item], Pool | None], Iterator[Any]]


class Work(NamedTuple):
    """What a process must know; all of it travels to other machines.

    Attributes:
        folder: where the plan is and the parts go; a path that all machines share, or an address.
        run: where and how each process computes.
        prepare: loads the model, to compute on so many threads; gives a function from items to results.
        record: a result as a record of the journal.
        write: renders records as a file.
    """

    folder: str
    run: Run
    prepare: Callable[[int], Hear]
    record: Callable[[Any], Record]
    write: Callable[[BinaryIO, str, bool, Callable[[], Iterable[Record]]], None]

    @property
    def on_gpu(self) -> bool:
        """Whether each process wants a card of its own."""
        return (self.run.device or "cpu").startswith("cuda")

    @property
    def decoders(self) -> int:
        """Decoder processes beside each model: one keeps up with a processor core, a card takes more."""
        return self.run.decoders(many=self.on_gpu)


@dataclass
class Done:
    """What there is to say of a block whose part is written.

    Attributes:
        part: the part.
        seconds: of audio, for each item.
        told: sources that could not be heard, with the reason, and warnings of the others.
    """

    part: PartFile
    seconds: list[float] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def to_json(self) -> str:
        """As text, which is what all engines carry."""
        return json.dumps(asdict(self) | {"part": list(self.part)})

    @staticmethod
    def from_json(text: str) -> "Done":
        """Back from text.

        Example:
            >>> done = Done(PartFile("part-000000.parquet", 2, 1), [0.5, 0.0], ["b.wav: the file is empty"])
            >>> Done.from_json(done.to_json()) == done
            True
        """
        told = json.loads(text)
        return Done(PartFile(*told["part"]), told["seconds"], told["told"])


class Hands:
    """One process at work: a model and decoders of its own, for as many blocks as come; they end with it.

    Raises:
        ConfigError: the model does not load.
    """

    def __init__(self, work: Work) -> None:
        self._work = work
        self._pool = Pool(work.decoders, work.run.timeout) if work.decoders else None
        if self._pool is not None:
            self._pool.start()
        pyarrow()  # a second or two, better spent before the first block than in it
        self._hear = work.prepare(1)

    def do(self, block: Block) -> Done:
        """Hear a block and write its part, whole or not at all; done twice, it is the same part again.

        Results are collected on the local disk: a block of long files in frames is larger than memory.

        Raises:
            OSError: the plan cannot be read, or the part not be written.
        """
        work, name = self._work, part_name(block.number)
        done = Done(PartFile(name, 0, 0))
        with (
            warnings.catch_warnings(record=True) as said,
            tempfile.TemporaryDirectory() as scratch,
            Journal(Path(scratch) / name, {}, resume=False) as journal,
        ):
            for result in self._hear(iter(items_of(work.folder, block)), self._pool):
                journal.append(work.record(result))
                done.seconds.append(result.seconds)
                if result.error is not None:
                    done.told.append(f"{result.path}: {reason(result.error)}")
            with committed(inside(work.folder, name)) as file:
                work.write(file, "parquet", False, journal.records)
        done.told += [str(one.message) for one in said if issubclass(one.category, AudioWarning)]
        done.part = measured(work.folder, name)
        return done
