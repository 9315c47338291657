"""Standard output that is only ours, and what is said beside it."""

import os
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from earmark.audio.errors import one_line
from earmark.cli.words import tell
from earmark.inference.journal import OutputError


class Output:
    """Standard output under a descriptor of its own.

    What libraries print goes to standard error from now on, so that it cannot get into what others read.
    """

    def __init__(self) -> None:
        with suppress(OSError, ValueError, AttributeError):  # it may be closed: then it is None
            sys.stdout.flush()
        self._descriptor: int | None = None
        with suppress(OSError):
            self._descriptor = os.dup(1)
        try:
            os.dup2(2, 1)
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)

    def write(self, text: str) -> None:
        """Write all of it now.

        Raises:
            BrokenPipeError: nobody reads it any more.
            OutputError: it cannot be written.
        """
        if self._descriptor is None:
            raise OutputError("standard output is closed; give --out FILE")
        rest = memoryview(text.encode("utf-8", "backslashreplace"))
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(
                f"standard output cannot be written: {(error.strerror or '').lower()}"
            ) from None


class Watch:
    """Tells how a run goes: a bar on a terminal, nothing in a pipe."""

    def __init__(self) -> None:
        self._heard = 0.0
        self._began = time.monotonic()
        self._bar: Progress | None = None
        self._task: Any = None

    def __enter__(self) -> "Watch":
        if sys.stderr is not None and sys.stderr.isatty():
            columns = (
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[speed]}"),
                TimeRemainingColumn(),
            )
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._task = self._bar.add_task("files", total=None, speed="")
            self._bar.start()
        self._shown, warnings.showwarning = warnings.showwarning, self._warn
        return self

    def __exit__(self, *_: object) -> None:
        warnings.showwarning = self._shown
        if self._bar is not None:
            self._bar.stop()

    def expect(self, count: Callable[[], int]) -> None:
        """Have the number of files to come found out, by a function that runs beside the work."""
        if self._bar is not None:
            threading.Thread(target=self._find_total, args=(count,), daemon=True).start()

    def step(self, seconds: float) -> None:
        """One more file, so many seconds long, is done."""
        self._heard += seconds
        if self._bar is not None:
            speed = self._heard / max(1e-3, time.monotonic() - self._began)
            words = f"{speed:.0f} s of audio a second" if self._heard else ""
            self._bar.update(self._task, advance=1, speed=words)

    def tell(self, message: str) -> None:
        """One line on standard error, above the bar."""
        if self._bar is None:
            tell(message)
        else:
            text = f"earmark: {one_line(message)}"
            self._bar.console.print(text, markup=False, highlight=False, emoji=False, soft_wrap=True)

    def _find_total(self, count: Callable[[], int]) -> None:
        total = count()
        if self._bar is not None:
            self._bar.update(self._task, total=total)

    def _warn(self, message: Warning | str, category: type[Warning], *_: Any) -> None:
        if category.__module__.startswith("earmark."):
            self.tell(str(message))
