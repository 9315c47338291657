"""Blocks by Ray Data: handed to actors on all machines, and again when a machine or a process dies."""

import logging
import os
import signal
import socket
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from earmark.audio.process import DecoderError
from earmark.config import ConfigError
from earmark.inference.journal import OutputError, failure
from earmark.scaling.plan import Block
from earmark.scaling.work import Done, Hands, Work

QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",  # nothing is reported to anybody
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DEDUP_LOGS_SKIP_REGEX": ".*",  # each lost process is told of in lines; all are put right
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
PATIENCE = 10.0
"""Seconds for a cluster to answer."""


def ray() -> tuple[Any, Any]:
    """The modules ray and ray.data, imported so that they keep to themselves.

    Raises:
        ConfigError: they are not installed.
    """
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        return import_module("ray"), import_module("ray.data")
    except ImportError:
        raise ConfigError('--engine ray needs Ray; install it with `pip install "earmark[scale]"`') from None


def hear_blocks(work: Work, blocks: list[Block], address: str | None) -> Iterator[Done]:
    """Have blocks heard; gives what became of each as it is done, in any order.

    Lost actors are started again and lost blocks done again, without limit: that is Ray Data's own rule.

    Args:
        work: how.
        blocks: which.
        address: of a cluster; None starts Ray here and ends it afterwards.

    Raises:
        ConfigError: no Ray, no such cluster, none of what the model needs in it; or the model does not load.
        OutputError: a part cannot be written.
    """
    with _connected(address) as (core, data):
        room = _room(core, work)
        context = data.DataContext.get_current()
        context.enable_progress_bars = False
        logging.getLogger("ray.data").setLevel(logging.ERROR)
        rows = data.from_items([{"block": list(block)} for block in blocks], override_num_blocks=len(blocks))
        most = len(blocks)
        told = rows.map_batches(
            Actor,
            fn_constructor_args=(work,),
            batch_size=1,
            batch_format="numpy",
            compute=data.ActorPoolStrategy(min_size=1, max_size=most, initial_size=min(room, most)),
            num_cpus=_cores(work),
            num_gpus=1 if work.on_gpu else None,
        )
        for row in told.iter_rows():
            if row["trouble"]:
                raise (OutputError if row["at_writing"] else ConfigError)(row["trouble"])
            yield Done.from_json(row["done"])


class Actor:
    """`Hands` as Ray Data calls them.  Troubles that a user can mend travel as words; Ray wraps errors."""

    def __init__(self, work: Work) -> None:
        self._hands: Hands | None = None
        self._trouble = ""
        from earmark.models.checkpoint import CheckpointError  # late: it imports torch

        try:
            self._hands = Hands(work)
        except (ConfigError, CheckpointError, DecoderError, OSError) as error:
            self._trouble = str(error)
        self._folder = Path(work.folder)

    def __call__(self, batch: dict[str, Any]) -> dict[str, list[Any]]:
        """Do one block."""
        if self._hands is None:
            return _answer(trouble=self._trouble)
        try:
            return _answer(done=self._hands.do(Block(*batch["block"][0].tolist())).to_json())
        except OutputError as error:
            return _answer(trouble=str(error), at_writing=True)
        except OSError as error:
            return _answer(trouble=str(failure(self._folder, error)), at_writing=True)


def _answer(done: str = "", trouble: str = "", at_writing: bool = False) -> dict[str, list[Any]]:
    return {"done": [done], "trouble": [trouble], "at_writing": [at_writing]}


@contextmanager
def _connected(address: str | None) -> Generator[tuple[Any, Any], None, None]:
    core, data = ray()
    handler = signal.getsignal(signal.SIGTERM)
    here = {"include_dashboard": False} if address is None else {}
    try:
        with _muffled():
            core.init(address or "local", log_to_driver=False, logging_level=logging.ERROR, **here)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        words = str(error).strip().splitlines() or [type(error).__name__]
        raise ConfigError(f"there is no Ray at {address or 'this machine'} ({words[0]})") from None
    finally:
        signal.signal(signal.SIGTERM, handler)  # Ray has its own, which says less
    try:
        yield core, data
    finally:
        core.shutdown()


def see_to(address: str | None) -> None:
    """See that Ray is installed and that somebody listens, before any work: Ray itself would try for minutes.

    Raises:
        ConfigError: it is not, or nobody does.
    """
    ray()
    if address is None:
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not host or not port.isdecimal():
        return  # auto, or a name of Ray's
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    except OSError as error:
        raise ConfigError(
            f"there is no Ray at {address} ({(error.strerror or str(error)).lower()})"
        ) from None


@contextmanager
def _muffled() -> Generator[None, None, None]:
    """Standard error to nowhere: Ray's core says there that it was told to be quiet."""
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _room(core: Any, work: Work) -> int:
    """How many actors the machines that are there now have room for.

    Raises:
        ConfigError: none.
    """
    there = core.cluster_resources()
    room = int(there.get("CPU", 0) // _cores(work))
    if work.on_gpu:
        room = min(room, int(there.get("GPU", 0)))
    if room < 1:
        wanted = f"{_cores(work)} processor cores" + (" and a GPU" if work.on_gpu else "")
        has = ", ".join(f"{there.get(kind, 0):g} {kind}" for kind in ("CPU", "GPU"))
        raise ConfigError(f"an actor wants {wanted}, and Ray has {has}; try other --device or --workers")
    return room


def _cores(work: Work) -> int:
    """Processor cores of an actor.  A model on a core shares it with its decoder, which is idle for the most
    part; a card wants a core for each decoder."""
    return max(1, work.decoders) if work.on_gpu else 1
