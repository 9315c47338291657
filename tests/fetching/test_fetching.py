"""The downloader against a server on this machine that cuts, stalls, lies and redirects."""

import errno
import hashlib
import io
import json
import logging
import multiprocessing
import time
from http.client import HTTPMessage
from pathlib import Path
from typing import Any
from urllib.request import Request

import pytest

from earmark.fetching import FetchError, Patience, Remote, alone, download, fetch
from earmark.fetching.web import UnsafeAddressError, _Redirects
from fetching.server import (
    BODY,
    DIGEST,
    QUICK,
    TAG,
    Handler,
    Server,
    cut_at,
    error,
    left,
    ranges,
    redirect,
    server,
    stall_at,
    whole,
)

__all__ = ["server"]


def remote(server: Server, **pins: Any) -> Remote:
    return Remote("some-model", server.url, **pins)


def test_a_file_arrives_whole_with_a_record_of_its_digest(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    target = fetch(
        remote(server), tmp_path / "deep" / "x.pt", lambda done, total: told.append((done, total)), QUICK
    )
    assert target.read_bytes() == BODY
    assert json.loads((tmp_path / "deep" / "x.pt.json").read_text()) == {
        "url": server.url,
        "bytes": len(BODY),
        "sha256": DIGEST,
    }
    assert left(target.parent) == {"x.pt", "x.pt.json"}
    assert told[0] == (0, len(BODY))
    assert told[-1] == (len(BODY), len(BODY))


def test_what_is_there_is_not_asked_for_again(server: Server, tmp_path: Path) -> None:
    for _ in range(2):
        fetch(remote(server), tmp_path / "x.pt", patience=QUICK)
    assert len(server.seen) == 1


def test_a_cut_is_taken_up_where_it_was(server: Server, tmp_path: Path) -> None:
    server.behaviors = [cut_at(100_000), ranges]
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY
    assert server.seen[1]["Range"] == "bytes=100000-"
    assert server.seen[1]["If-Range"] == TAG


def test_the_next_call_takes_up_what_the_last_one_left(server: Server, tmp_path: Path) -> None:
    server.behaviors = [cut_at(100_000), error(503)]
    with pytest.raises(FetchError, match=r"503 .*after 4 attempts; what came is kept"):
        fetch(remote(server), tmp_path / "x.pt", patience=QUICK)
    assert "x.pt" not in left(tmp_path)
    server.behaviors, server.seen = [ranges], []
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY
    assert server.seen[0]["Range"] == "bytes=100000-"


def test_a_server_without_ranges_starts_anew(server: Server, tmp_path: Path) -> None:
    server.behaviors = [cut_at(100_000), whole]
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY


def test_a_file_that_changed_in_between_starts_anew(server: Server, tmp_path: Path) -> None:
    server.behaviors = [cut_at(100_000, tag='"v0"'), ranges]
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY
    assert server.seen[1]["If-Range"] == '"v0"'


@pytest.mark.parametrize("tag", ["", 'W/"weak"'])
def test_without_a_strong_tag_the_rest_is_not_asked_for(server: Server, tag: str, tmp_path: Path) -> None:
    server.behaviors = [cut_at(100_000, tag=tag), ranges]
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY
    assert "Range" not in server.seen[1]


def test_a_part_that_is_too_long_is_dropped(server: Server, tmp_path: Path) -> None:
    (tmp_path / "x.pt.part").write_bytes(BODY + b"more")
    (tmp_path / "x.pt.part.etag").write_text(TAG)
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY
    assert len(server.seen) == 2


def test_an_answer_from_another_place_is_not_glued_on(server: Server, tmp_path: Path) -> None:
    def elsewhere(handler: Handler) -> None:
        handler.answer(206, BODY[7:], ETag=TAG, Content_Range=f"bytes 7-{len(BODY) - 1}/{len(BODY)}")

    server.behaviors = [cut_at(100_000), elsewhere, ranges]
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY


def test_a_stall_is_given_up_and_taken_up_again(server: Server, tmp_path: Path) -> None:
    server.behaviors = [stall_at(5000), ranges]
    began = time.monotonic()
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY
    assert time.monotonic() - began < 1.4
    assert server.seen[1]["Range"] == "bytes=5000-"


def test_a_server_that_never_answers_is_given_up(server: Server, tmp_path: Path) -> None:
    server.behaviors = [lambda _: time.sleep(1)]
    patience = QUICK._replace(stall_seconds=0.1, retries=1)
    with pytest.raises(FetchError, match=r"some-model: .*after 2 attempts"):
        fetch(remote(server), tmp_path / "x.pt", patience=patience)


def test_a_server_that_always_cuts_ends_in_a_sentence(server: Server, tmp_path: Path) -> None:
    server.behaviors = [cut_at(10)]
    with pytest.raises(
        FetchError, match=r"ended at 10 of 307200 bytes, after 4 attempts.*or download it yourself"
    ):
        fetch(remote(server), tmp_path / "x.pt", patience=QUICK)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_a_server_that_says_later_is_asked_again(server: Server, status: int, tmp_path: Path) -> None:
    server.behaviors = [error(status, Retry_After="3600"), error(status, Retry_After="soon"), ranges]
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY


def test_retry_after_is_honored(server: Server, tmp_path: Path) -> None:
    server.behaviors = [error(503, Retry_After="1"), ranges]
    began = time.monotonic()
    fetch(remote(server), tmp_path / "x.pt", patience=QUICK._replace(longest_pause_seconds=5.0))
    assert time.monotonic() - began >= 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 501])
def test_a_server_that_says_no_is_asked_once(server: Server, status: int, tmp_path: Path) -> None:
    server.behaviors = [error(status)]
    with pytest.raises(FetchError, match=rf"some-model: .*{server.url}.*{status}.*download it yourself"):
        fetch(remote(server), tmp_path / "x.pt", patience=QUICK)
    assert len(server.seen) == 1
    assert left(tmp_path) == set()


def test_a_pinned_size_is_checked_before_the_bytes_come(server: Server, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="307200 bytes but 5 were expected"):
        fetch(remote(server, size=5), tmp_path / "x.pt", patience=QUICK)
    assert left(tmp_path) <= {"x.pt.part.etag"}


def test_wrong_bytes_under_a_pinned_digest_are_removed(server: Server, tmp_path: Path) -> None:
    server.behaviors = [lambda handler: handler.answer(200, bytes(len(BODY)), ETag=TAG)]
    with pytest.raises(FetchError, match=rf"SHA-256 .*{DIGEST} were expected; it was removed"):
        fetch(remote(server, size=len(BODY), sha256=DIGEST), tmp_path / "x.pt", patience=QUICK)
    assert left(tmp_path) <= {"x.pt.part.etag"}
    server.behaviors = [ranges]
    assert fetch(remote(server, sha256=DIGEST), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY


def test_a_length_that_is_too_short_is_noticed_by_the_digest(server: Server, tmp_path: Path) -> None:
    server.behaviors = [lambda handler: handler.answer(200, BODY, Content_Length="1000")]
    with pytest.raises(FetchError, match="what came has 1000 bytes"):
        fetch(remote(server, sha256=DIGEST), tmp_path / "x.pt", patience=QUICK)


def test_a_body_without_any_length_is_refused_unless_pinned(server: Server, tmp_path: Path) -> None:
    server.behaviors = [lambda handler: handler.answer(200, BODY, Content_Length="")]
    with pytest.raises(FetchError, match="does not say how long"):
        fetch(remote(server), tmp_path / "x.pt", patience=QUICK)
    assert fetch(remote(server, sha256=DIGEST), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY


def test_chunks_are_put_together(server: Server, tmp_path: Path) -> None:
    def chunks(handler: Handler) -> None:
        coded = b"".join(b"%x\r\n%s\r\n" % (1024, BODY[i : i + 1024]) for i in range(0, len(BODY), 1024))
        handler.protocol_version = "HTTP/1.1"
        handler.close_connection = True
        handler.answer(200, coded + b"0\r\n\r\n", Content_Length="", Transfer_Encoding="chunked")

    server.behaviors = [chunks]
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY


def test_a_compressed_answer_is_refused(server: Server, tmp_path: Path) -> None:
    server.behaviors = [lambda handler: handler.answer(200, BODY, Content_Encoding="gzip")]
    with pytest.raises(FetchError, match="compressed form"):
        fetch(remote(server), tmp_path / "x.pt", patience=QUICK)


def test_a_file_over_the_limit_is_refused(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    with pytest.raises(FetchError, match="307200 bytes; 1000 are allowed"):
        fetch(remote(server), tmp_path / "x.pt", patience=QUICK)
    server.behaviors = [lambda handler: handler.answer(200, BODY, Content_Length="")]
    with pytest.raises(FetchError, match="more than 1000 bytes"):
        fetch(remote(server, sha256=DIGEST), tmp_path / "x.pt", patience=QUICK)


def test_a_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    server.behaviors = [redirect("/a"), redirect("/b"), redirect(f"{server.url}?c"), ranges]
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY
    assert [seen["path"] for seen in server.seen] == ["/file.pt", "/a", "/b", "/file.pt?c"]


def test_a_redirect_keeps_the_range(server: Server, tmp_path: Path) -> None:
    server.behaviors = [cut_at(100_000), redirect("/a"), ranges]
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY
    assert server.seen[2]["Range"] == "bytes=100000-"


def test_a_loop_of_redirects_is_left(server: Server, tmp_path: Path) -> None:
    server.behaviors = [redirect("/a")]
    with pytest.raises(FetchError, match=r"302.*infinite loop"):
        fetch(remote(server), tmp_path / "x.pt", patience=QUICK)
    assert len(server.seen) <= 3


def test_more_than_five_redirects_are_not_followed(server: Server, tmp_path: Path) -> None:
    server.behaviors = [redirect(f"/{n}") for n in range(9)]
    with pytest.raises(FetchError, match="302"):
        fetch(remote(server), tmp_path / "x.pt", patience=QUICK)
    assert len(server.seen) == 6


@pytest.mark.parametrize("address", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "gopher://x/"])
def test_a_redirect_to_another_scheme_is_not_followed(server: Server, address: str, tmp_path: Path) -> None:
    server.behaviors = [redirect(address)]
    with pytest.raises(FetchError, match=address.partition(":")[0]):
        fetch(remote(server), tmp_path / "x.pt", patience=QUICK)
    assert left(tmp_path) == set()


def test_a_redirect_never_leaves_encryption() -> None:
    request = Request("https://example.org/x")
    with pytest.raises(UnsafeAddressError, match="not encrypted"):
        _Redirects().redirect_request(request, io.BytesIO(), 302, "", HTTPMessage(), "http://example.org/x")


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "/etc/passwd", "http:"])
def test_an_address_of_another_scheme_is_refused(url: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"some-model: "):
        fetch(Remote("some-model", url), tmp_path / "x.pt", patience=QUICK)


def test_a_server_that_is_not_there_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match=r"no answer.*after 2 attempts; try again later"):
        fetch(
            Remote("some-model", "http://127.0.0.1:1/x"),
            tmp_path / "x.pt",
            patience=QUICK._replace(retries=1),
        )


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
SERVER.set_forkserver_preload(["earmark.fetching"])


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


def test_a_server_that_answers_with_a_page_of_its_own_is_told_by_the_digest(
    server: Server, tmp_path: Path
) -> None:
    server.behaviors = [lambda handler: handler.answer(200, b"<html>please log in</html>")]
    with pytest.raises(FetchError, match=r"has 26 bytes and SHA-256 .*it was removed, try again"):
        fetch(remote(server, sha256=DIGEST), tmp_path / "x.pt", patience=QUICK)
    assert "x.pt" not in left(tmp_path)


def test_a_pinned_md5_is_checked(server: Server, tmp_path: Path) -> None:
    md5 = hashlib.md5(BODY).hexdigest()
    target = fetch(remote(server, md5=md5), tmp_path / "x.pt", patience=QUICK)
    assert json.loads((tmp_path / "x.pt.json").read_text())["sha256"] == DIGEST
    assert fetch(remote(server, md5=md5), target, patience=QUICK) == target
    with pytest.raises(FetchError, match=rf"MD5 {md5}\), but MD5 0123 were expected; it was removed"):
        fetch(remote(server, md5="0123"), tmp_path / "y.pt", patience=QUICK)
    assert not (tmp_path / "y.pt").exists()
