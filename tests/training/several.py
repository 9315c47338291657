"""Several processes, forked from one that has torch, that know of one another as torchrun would tell them."""

import os
import signal
import socket
import time
import traceback
from collections.abc import Callable
from pathlib import Path

SECONDS = 120.0


def together(work: Callable[[], object], errors: Path, processes: int = 2) -> None:
    """Do something in several processes that have torch already; fail with what the first to fail says."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    known = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    left = {forked(work, known | {"RANK": f"{n}", "LOCAL_RANK": f"{n}"}, errors) for n in range(processes)}
    deadline = time.monotonic() + SECONDS
    try:
        while left:
            assert time.monotonic() < deadline, "the processes wait for one another"
            for child in sorted(left):
                found, status = os.waitpid(child, os.WNOHANG)
                left -= {found}
                assert not status, errors.read_text()
            time.sleep(0.02)
    finally:
        for child in left:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)


def forked(work: Callable[[], object], known: dict[str, str], errors: Path) -> int:
    """A child process that works, and writes down why it could not."""
    child = os.fork()
    if child == 0:
        try:
            os.environ.update(known)
            work()
        except BaseException:
            errors.write_text(f"process {known['RANK']}: {traceback.format_exc()}")
            os._exit(1)
        os._exit(0)
    return child


def in_a_fork(work: Callable[[], object]) -> int:
    """Do something in a child process that has torch already; its number."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return child
