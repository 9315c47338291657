"""The downloader goes on where a server on this machine cut, stalled or sent it elsewhere."""

import json
import time
from pathlib import Path

import pytest

from earmark.fetching import FetchError, fetch
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
    remote,
    server,
    stall_at,
    whole,
)

__all__ = ["server"]


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


def test_chunks_are_put_together(server: Server, tmp_path: Path) -> None:
    def chunks(handler: Handler) -> None:
        coded = b"".join(b"%x\r\n%s\r\n" % (1024, BODY[i : i + 1024]) for i in range(0, len(BODY), 1024))
        handler.protocol_version = "HTTP/1.1"
        handler.close_connection = True
        handler.answer(200, coded + b"0\r\n\r\n", Content_Length="", Transfer_Encoding="chunked")

    server.behaviors = [chunks]
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY


def test_a_redirect_is_followed(server: Server, tmp_path: Path) -> None:
    server.behaviors = [redirect("/a"), redirect("/b"), redirect(f"{server.url}?c"), ranges]
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY
    assert [seen["path"] for seen in server.seen] == ["/file.pt", "/a", "/b", "/file.pt?c"]


def test_a_redirect_keeps_the_range(server: Server, tmp_path: Path) -> None:
    server.behaviors = [cut_at(100_000), redirect("/a"), ranges]
    assert fetch(remote(server), tmp_path / "x.pt", patience=QUICK).read_bytes() == BODY
    assert server.seen[2]["Range"] == "bytes=100000-"
