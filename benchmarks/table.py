"""What all benchmarks have in common: a row, how two things are timed in turn, and the table and picture."""

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

ROUNDS = 5


class Row(NamedTuple):
    """Something that costs: less is better.

    Attributes:
        name: the work.
        unit: of the costs, such as "core ms".
        ours: median.
        theirs: median.
        peer: who else does the same work, with its version.
        ratios: theirs by ours in each round; above 1 is our gain.
        note: how the results compare, and the like.
    """

    name: str
    unit: str
    ours: float
    theirs: float
    peer: str
    ratios: list[float]
    note: str = ""


class Missing(NamedTuple):
    """Work that could not be measured here, and why."""

    name: str
    reason: str


Rows = list[Row | Missing]


def paired(name: str, unit: str, ours: list[float], theirs: list[float], peer: str, note: str = "") -> Row:
    """A row of costs that were measured in turn."""
    ratios = [b / a for a, b in zip(ours, theirs, strict=True)]
    return Row(name, unit, statistics.median(ours), statistics.median(theirs), peer, ratios, note)


def in_turn(
    ours: Callable[[], object],
    theirs: Callable[[], object],
    rounds: int = ROUNDS,
    clock: Callable[[], float] = time.process_time,
) -> tuple[list[float], list[float]]:
    """Milliseconds of both, one after the other in each round; a round before does not count."""

    def spent(work: Callable[[], object]) -> float:
        began = clock()
        work()
        return 1000 * (clock() - began)

    pairs = [(spent(ours), spent(theirs)) for _ in range(rounds + 1)][1:]
    return [a for a, _ in pairs], [b for _, b in pairs]


def version(package: str, python: str | Path = sys.executable) -> str | None:
    """A package's version for an interpreter; None where it is not installed."""
    if str(python) == sys.executable:
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            return None
    program = f"from importlib.metadata import version; print(version({package!r}))"
    run = subprocess.run([python, "-c", program], capture_output=True, text=True)
    return run.stdout.strip() if run.returncode == 0 else None


def markdown(rows: Rows, seconds: float) -> str:
    """The table, with where and when it was made."""
    lines = [f"{date.today()}, {machine()}, {seconds / 60:.0f} minutes.", ""]
    lines += [
        "| work | earmark | peer | | times as cheap (least to most of the rounds) | |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        if isinstance(row, Missing):
            lines.append(f"| {row.name} | - | - | {row.reason} | | |")
            continue
        middle, least, most = statistics.median(row.ratios), min(row.ratios), max(row.ratios)
        lines.append(
            f"| {row.name} | {row.ours:.3g} {row.unit} | {row.theirs:.3g} {row.unit} | {row.peer} "
            f"| {middle:.2f} ({least:.2f} to {most:.2f}, {len(row.ratios)}) | {row.note} |"
        )
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Processor, load and versions."""
    told = Path("/proc/cpuinfo")
    flags = set(told.read_text().split()) if told.is_file() else set[str]()
    units = "/".join(one for one in ("avx2", "avx512f", "avx512_vnni", "avx512_bf16") if one in flags)
    load = "/".join(f"{one:.1f}" for one in os.getloadavg())
    parts = [f"{name} {version(name)}" for name in ("torch", "numpy", "soundfile", "soxr")]
    return (
        f"{os.cpu_count()} cores of {platform.machine()} ({units}), load average {load}, one thread each, "
        f"Python {platform.python_version()}, {', '.join(parts)}"
    )


def picture(rows: Rows, path: Path) -> None:
    """Bars of the ratios with their spread, on a logarithmic axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    measured = [row for row in rows if isinstance(row, Row)][::-1]
    middles = [statistics.median(row.ratios) for row in measured]
    spread = [
        [middle - min(row.ratios) for row, middle in zip(measured, middles, strict=True)],
        [max(row.ratios) - middle for row, middle in zip(measured, middles, strict=True)],
    ]
    figure = Figure(figsize=(10, 0.34 * len(measured) + 1.4), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    colors = ["tab:green" if middle >= 1 else "tab:red" for middle in middles]
    axes.barh(range(len(measured)), [middle - 1 for middle in middles], left=1, color=colors, alpha=0.6)
    axes.errorbar(middles, range(len(measured)), xerr=spread, fmt="k.", capsize=2, linewidth=1)
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=1)
    axes.set_yticks(range(len(measured)), [f"{row.name} | {row.peer}" for row in measured], fontsize=8)
    axes.set_ylim(-0.6, len(measured) - 0.4)
    axes.set_xlabel(f"times as cheap as the peer, {date.today()}")
    figure.savefig(path, dpi=120)
