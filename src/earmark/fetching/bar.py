"""How far a download is, for whoever sits before a terminal."""

import sys
from collections.abc import Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from earmark.fetching.download import Progress as Tell


@contextmanager
def progress_bar(name: str) -> Generator[Tell | None, None, None]:
    """A bar on a terminal, from the first byte on; nothing in a pipe.

    Args:
        name: what stands before the bar.

    Returns:
        What `fetch` takes as its `progress`; None where there is no terminal.
    """
    if sys.stderr is None or not sys.stderr.isatty():
        yield None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
