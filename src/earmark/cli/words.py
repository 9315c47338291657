"""What every verb says in the same way; imports nothing heavy, so that `--help` answers at once."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

STDIN = "\0stdin"
"""How a lone `-` passes the parser, which takes it for an option; no argument can hold a zero byte."""


class Stopped(BaseException):
    """A request to terminate; not an `Exception`, so that nothing on the way takes it for an error."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.signal = number


def as_typed(value: Any) -> Any:
    """An argument as it was typed; see `STDIN`."""
    if isinstance(value, list):
        return [as_typed(one) for one in cast(list[Any], value)]
    return type(value)("-") if isinstance(value, str | Path) and str(value) == STDIN else value


def tell(message: str) -> None:
    """One line on standard error."""
    from earmark.audio.errors import one_line

    with suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"earmark: {one_line(message)}\n")
        sys.stderr.flush()
