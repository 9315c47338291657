"""What lies in the cache, and several processes that want it at once."""

import errno
import json
import logging
import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest

from earmark.fetching import FetchError, Patience, Remote, alone, download, fetch
from fetching.server import (
    BODY,
    DIGEST,
    QUICK,
    Handler,
    Server,
    left,
    ranges,
    remote,
    server,
    stall_at,
    whole,
)

__all__ = ["server"]


def test_a_full_disk_is_a_sentence(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(download.os, "fsync", full)
    with pytest.raises(FetchError, match=r"some-model: .*cannot be written .No space left on device"):
        fetch(remote(server), tmp_path / "x.pt", patience=QUICK)
    assert "x.pt" not in left(tmp_path)


def test_a_cache_that_cannot_be_made_is_a_sentence(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(FetchError, match="cannot be written"):
        fetch(remote(server), tmp_path / "file" / "x.pt", patience=QUICK)


def test_a_file_that_changed_in_the_cache_is_noticed(server: Server, tmp_path: Path) -> None:
    target = fetch(remote(server), tmp_path / "x.pt", patience=QUICK)
    target.write_bytes(b"x" + BODY[1:])
    with pytest.raises(FetchError, match=r"has changed since it was fetched.*x\.pt\.json; delete both"):
        fetch(remote(server), target, patience=QUICK)


def test_a_file_without_a_record_gets_one(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(BODY)
    fetch(remote(server), tmp_path / "x.pt", patience=QUICK)
    assert json.loads((tmp_path / "x.pt.json").read_text())["sha256"] == DIGEST
    assert not server.seen


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[" * 100_000, "\udcff"])
def test_a_damaged_record_is_a_sentence(server: Server, text: str, tmp_path: Path) -> None:
    (tmp_path / "x.pt").write_bytes(BODY)
    (tmp_path / "x.pt.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(FetchError, match=r"x\.pt\.json: is damaged; delete it"):
        fetch(remote(server), tmp_path / "x.pt", patience=QUICK)


def hold(target: Path, ready: Any, seconds: float) -> None:
    with alone(target):
        ready.set()
        time.sleep(seconds)
        target.write_bytes(BODY)


def test_a_second_process_waits_for_the_first_and_says_so(
    server: Server, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    spawn = multiprocessing.get_context("spawn")
    ready = spawn.Event()
    first = spawn.Process(target=hold, args=(tmp_path / "x.pt", ready, 0.5))
    first.start()
    assert ready.wait(60)
    with caplog.at_level(logging.WARNING):
        fetch(remote(server), tmp_path / "x.pt", patience=QUICK)
    first.join()
    assert "waiting for another process" in caplog.text
    assert not server.seen


SERVER = multiprocessing.get_context("forkserver")


def get_it(url: str, target: Path, patience: Patience) -> None:
    fetch(Remote("some-model", url), target, patience=patience)


def test_processes_that_want_the_same_file_at_once_ask_for_it_once(server: Server, tmp_path: Path) -> None:
    def slow(handler: Handler) -> None:
        time.sleep(0.3)
        whole(handler)

    server.behaviors = [slow]
    processes = [SERVER.Process(target=get_it, args=(server.url, tmp_path / "x.pt", QUICK)) for _ in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert (tmp_path / "x.pt").read_bytes() == BODY
    assert len(server.seen) == 1


def test_what_a_killed_process_left_is_taken_up(server: Server, tmp_path: Path) -> None:
    server.behaviors = [stall_at(100_000), ranges]
    patient = QUICK._replace(stall_seconds=60.0)
    process = SERVER.Process(target=get_it, args=(server.url, tmp_path / "x.pt", patient))
    process.start()
    part, limit = tmp_path / "x.pt.part", time.monotonic() + 30
    while not (part.exists() and part.stat().st_size >= 50_000):
        assert time.monotonic() < limit
        time.sleep(0.01)
    process.kill()
    process.join()
    assert not (tmp_path / "x.pt").exists()
    came = part.stat().st_size
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY
    assert server.seen[1]["Range"] == f"bytes={came}-"
