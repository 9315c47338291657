"""How a run goes: a line on the terminal, and where the time went."""

import sys
import time
from collections.abc import Iterator
from typing import TypeVar

Item = TypeVar("Item")

EVERY_SECONDS = 0.5


class Stopwatch:
    """Time spent since the last lap, and the part of it that was spent waiting for data."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.waited = 0.0

    def waiting(self, items: Iterator[Item]) -> Iterator[Item]:
        """The same items, with the time that each takes to come counted as waiting."""
        while True:
            asked = time.perf_counter()
            try:
                item = next(items)
            except StopIteration:
                return
            self.waited += time.perf_counter() - asked
            yield item

    def lap(self, clips: int) -> dict[str, float]:
        """Seconds, clips a second and the share of waiting since the last lap; a new one begins."""
        seconds = max(time.perf_counter() - self.started, 1e-9)
        found = {"seconds": seconds, "clips_per_second": clips / seconds, "waiting": self.waited / seconds}
        self.started, self.waited = time.perf_counter(), 0.0
        return found


class Progress:
    """One line on stderr that is written over and over; nothing where stderr is no terminal.

    Args:
        total_steps: of the whole run.
        first: the step that the run begins with.
        shown: whether this process shows anything.
    """

    def __init__(self, total_steps: int, first: int, shown: bool) -> None:
        self.total = total_steps
        self.first = first
        self.shown = shown and sys.stderr.isatty()
        self.started = self.last = time.perf_counter()

    def show(self, done: int, loss: float, rate: float, clips: int, watch: Stopwatch) -> None:
        """Show where the run is, at most twice a second.

        Args:
            done: steps that are done, of the whole run.
            loss: of the last step.
            rate: the learning rate of the last step.
            clips: in a step.
            watch: of this epoch.
        """
        now = time.perf_counter()
        if not self.shown or now - self.last < EVERY_SECONDS:
            return
        self.last = now
        per_second = (done - self.first) / (now - self.started)
        left = (self.total - done) / per_second if per_second else float("inf")
        waiting = watch.waited / max(now - watch.started, 1e-9)
        sys.stderr.write(
            f"\r\x1b[Kstep {done}/{self.total}  loss {loss:.4f}  rate {rate:.2e}  "
            f"{per_second * clips:.1f} clips/s  waiting {waiting:.0%}  {duration(left)} left"
        )
        sys.stderr.flush()

    def clear(self) -> None:
        """Take the line away."""
        if self.shown:
            sys.stderr.write("\r\x1b[K")


def duration(seconds: float) -> str:
    """Hours, minutes and seconds for people.

    Example:
        >>> duration(42.0), duration(150.0), duration(7260.0)
        ('42 s', '2 min 30 s', '2 h 1 min')
    """
    if seconds == float("inf"):
        return "?"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
