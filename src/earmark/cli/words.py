"""What every verb says in the same way; imports nothing heavy, so that `--help` answers at once."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, cast

from cyclopts import Parameter

STDIN = "\0stdin"
"""How a lone `-` passes the parser, which takes it for an option; no argument can hold a zero byte."""


Flag = Parameter(negative="")
"""A switch that is only ever switched on."""

Assignments = Annotated[list[str] | None, Parameter(name="--set")]
"""`--set path=value`, as often as wanted."""


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


def set_threads(threads: int | None) -> None:
    """Bound PyTorch's threads for the whole process."""
    if threads is not None:
        import torch

        if threads < 1:
            from earmark.config import ConfigError

            raise ConfigError(f"--threads is {threads}; give 1 or more")
        torch.set_num_threads(threads)
