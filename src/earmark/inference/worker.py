"""The decoder process: paths in, framed blocks of samples out.

It is started by `earmark.inference.process`, talks on its own standard streams and shares none of them with
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

from earmark.audio import AudioError, AudioWarning, stream

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
            inbox.put(json.loads(line))
    os._exit(0)


def _answer(answers: int, request: dict[str, Any]) -> None:
    path = os.fsdecode(request["path"].encode("latin-1"))
    notes: list[str] = []
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for block in stream(path, request["sample_rate"], on_truncated=request["on_truncated"]):
                _send(answers, BLOCK, block.tobytes())
        notes = [str(entry.message) for entry in caught if issubclass(entry.category, AudioWarning)]
    except AudioError as error:
        _send(answers, ERROR, json.dumps({"reason": error.reason}).encode())
    except MemoryError:
        reason = f"decoding needs more than the {MEMORY_BYTES // 1024**3} GiB that a decoder may use"
        _send(answers, ERROR, json.dumps({"reason": reason}).encode())
    except Exception as error:  # a bug of ours or of a reader must name the file, not end the run
        reason = f"the decoder failed ({type(error).__name__}: {error})"
        _send(answers, ERROR, json.dumps({"reason": reason}).encode())
    else:
        _send(answers, END, json.dumps({"warnings": notes}).encode())


def _send(answers: int, kind: bytes, payload: bytes) -> None:
    try:
        rest = memoryview(HEADER.pack(kind, len(payload)) + payload)
        while rest:
            rest = rest[os.write(answers, rest) :]
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    main()
