"""A server on this machine that cuts, stalls, lies and redirects, as it is told."""

import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from earmark.fetching import Patience, Remote

BODY = bytes(range(256)) * 1200
DIGEST = hashlib.sha256(BODY).hexdigest()
QUICK = Patience(stall_seconds=0.4, retries=3, pause_seconds=0.01, longest_pause_seconds=0.05)
TAG = '"v1"'


class Handler(BaseHTTPRequestHandler):
    """Answers as the server's list of behaviors says, one for each request; the last one stays."""

    server: "Server"

    def do_GET(self) -> None:
        self.server.seen.append({**self.headers, "path": self.path})
        behaviors = self.server.behaviors
        (behaviors.pop(0) if len(behaviors) > 1 else behaviors[0])(self)

    def log_message(self, *_: Any) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content_Length": str(len(body)), **headers}.items():
            if value:
                self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    behaviors: list[Callable[[Handler], None]]
    seen: list[dict[str, str]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/file.pt"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    with Server(("127.0.0.1", 0), Handler) as running:
        running.behaviors, running.seen = [ranges], []
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def whole(handler: Handler) -> None:
    """A server that knows no ranges."""
    handler.answer(200, BODY, ETag=TAG)


def ranges(handler: Handler) -> None:
    """A server that does as it is asked."""
    asked = handler.headers.get("Range")
    if asked is None or handler.headers.get("If-Range") != TAG:
        whole(handler)
        return
    start = int(asked.removeprefix("bytes=").removesuffix("-"))
    if start >= len(BODY):
        handler.answer(416)
    else:
        span = f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"
        handler.answer(206, BODY[start:], ETag=TAG, Content_Range=span)


def cut_at(count: int, tag: str = TAG) -> Callable[[Handler], None]:
    """Promise the whole file and hang up early."""
    return lambda handler: handler.answer(200, BODY[:count], Content_Length=str(len(BODY)), ETag=tag)


def stall_at(count: int) -> Callable[[Handler], None]:
    def stall(handler: Handler) -> None:
        cut_at(count)(handler)
        handler.wfile.flush()
        time.sleep(1.5)

    return stall


def error(status: int, **headers: str) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(status, b"no", **headers)


def redirect(address: str) -> Callable[[Handler], None]:
    return lambda handler: handler.answer(302, Location=address)


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def remote(server: Server, **pins: Any) -> Remote:
    return Remote("some-model", server.url, **pins)
