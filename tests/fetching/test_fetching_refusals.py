"""What a server may not do, and what is not believed: a sentence, and nothing is left."""

import hashlib
import io
import json
from http.client import HTTPMessage
from pathlib import Path
from urllib.request import Request

import pytest

from earmark.fetching import FetchError, Remote, download, fetch
from earmark.fetching.web import UnsafeAddressError, _Redirects
from fetching.server import (
    BODY,
    DIGEST,
    QUICK,
    TAG,
    Server,
    error,
    left,
    ranges,
    redirect,
    remote,
    server,
)

__all__ = ["server"]


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
