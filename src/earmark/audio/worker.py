"""The decoder process: paths or encoded bytes in, framed blocks of samples out.

It is started by `earmark.audio.process`, talks on its own standard streams and shares none of them with
the libraries that decode, which print at times.  It never imports torch.
"""

import json
import os
import queue
import struct
import sys
import threading
import warnings
from contextlib import suppress
from typing import Any, BinaryIO

from earmark.audio.errors import AudioError, AudioWarning
from earmark.audio.mono import stream
from earmark.audio.source import Source
from earmark.audio.stretch import Stretch

try:
    import resource
except ImportError:  # not POSIX: no limits
    resource = None

HEADER = struct.Struct("<cI")
"""Each frame: its kind, the bytes that follow."""
READY, BLOCK, END, ERROR = b"R", b"B", b"E", b"X"
MEMORY_BYTES = 4 * 1024**3


def main() -> None:
    """Answer requests until standard input closes; then end at once, whatever is going on."""
    answers = _own_descriptor()
    _limit_memory()
    requests: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, requests), daemon=True).start()
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    _send(answers, READY, b"")
    while True:
        _answer(answers, requests.get())


def _own_descriptor() -> int:
    """Keep standard output for ourselves; what libraries print goes nowhere."""
    answers = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)
    return answers


def _limit_memory() -> None:
    """A file that makes a decoder ask for everything fails here, not the machine."""
    if resource is None:
        return
    with suppress(OSError, ValueError):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        limit = MEMORY_BYTES if hard == resource.RLIM_INFINITY else min(MEMORY_BYTES, hard)
        resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def _listen(requests: BinaryIO, inbox: "queue.SimpleQueue[dict[str, Any]]") -> None:
    """Read requests; a closed input means that the parent is gone or done with us."""
    with suppress(BaseException):
        for line in requests:
            request = json.loads(line)
            inbox.put(request | {"data": requests.read(request["bytes"])})
    os._exit(0)


def _answer(answers: int, request: dict[str, Any]) -> None:
    path: str | None = request.get("path")
    source: Source = request["data"] if path is None else os.fsdecode(path.encode("latin-1"))
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            answer = _decode(answers, source, request)
        notes = [str(entry.message) for entry in caught if issubclass(entry.category, AudioWarning)]
        _send(answers, END, json.dumps({"warnings": notes} | answer).encode())
    except AudioError as error:
        _fail(answers, error.reason)
    except MemoryError:
        _fail(answers, f"decoding needs more than the {MEMORY_BYTES // 1024**3} GiB that a decoder may use")
    except Exception as error:  # a bug of ours or of a reader must name the file, not end the run
        _fail(answers, f"the decoder failed ({type(error).__name__}: {error})")


def _decode(answers: int, source: Source, request: dict[str, Any]) -> dict[str, Any]:
    """Send the samples; what is to be said at their end."""
    rate = request["sample_rate"]
    if "start" not in request:
        for block in stream(source, rate, on_truncated=request["on_truncated"]):
            _send(answers, BLOCK, block.tobytes())
        return {}
    stretch = Stretch(source, rate, request["start"], request["count"], request["longest"])
    for block in stretch:
        _send(answers, BLOCK, block.tobytes())
    return {"total": stretch.total, "too_long": stretch.too_long}


def _fail(answers: int, reason: str) -> None:
    _send(answers, ERROR, json.dumps({"reason": reason}).encode())


def _send(answers: int, kind: bytes, payload: bytes) -> None:
    try:
        rest = memoryview(HEADER.pack(kind, len(payload)) + payload)
        while rest:
            rest = rest[os.write(answers, rest) :]
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
