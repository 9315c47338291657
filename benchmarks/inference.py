"""PaSST-S on 10 s clips with identical weights: earmark, hear21passt, ONNX Runtime and OpenVINO in turn.

    python -m venv bench && bench/bin/pip install .          # earmark with its torch, in a place of its own
    bench/bin/pip install --no-deps hear21passt==0.0.26 torchaudio==2.11.0
    bench/bin/pip install onnx onnxruntime openvino nncf     # as many of them as are wanted
    bench/bin/python benchmarks/inference.py [--clips 1 8] [--rounds 7 2] [--threads 1] [--json FILE]

Each contestant is a process of its own that lives through the whole run, and every round asks each of them
once, so that what else the machine does meets all alike; ratios are medians of ratios within a round.
hear21passt runs as its users run it; earmark with the command line's allocator, and once more without
(`earmark library`).  ONNX Runtime and OpenVINO get features that are computed already, the others waveforms.
"""

import argparse
import importlib.util
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from itertools import chain
from pathlib import Path
from typing import Any

from table import Missing, Rows, paired, version

WORKER = Path(__file__).parent / "contestants.py"
FIRST = "published default"
PRECISIONS = ("fp32", "bf16", "int8")
PEERS = {
    "onnxruntime": ("onnxruntime fp32", "onnxruntime int8"),
    "openvino": ("openvino fp32", "openvino bf16"),
    "nncf": ("openvino int8",),
}
TOKENS, WIDTH, DEPTH = 1190, 768, 12


class Contestant:
    """A worker process that computes when it is asked."""

    def __init__(
        self,
        name: str,
        folder: Path,
        threads: int,
        worker: Path = WORKER,
        python: str | Path = sys.executable,
    ) -> None:
        self.name, self.worker = name, worker
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "PYTHONWARNINGS": "ignore"}
        self._process = subprocess.Popen(
            [str(python), str(worker), name, str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        self.can: list[str] = self._read()

    def ask(self, do: str, clips: int) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": do, "clips": clips}) + "\n")
        self._process.stdin.flush()
        return self._read()

    def end(self) -> None:
        self._process.communicate()

    def _read(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(
                f"{self.name} ended with {self._process.wait()}; run {self.worker.name} to see why"
            )
        return json.loads(line)


def names(autocast: bool) -> list[str]:
    """Who takes part: whoever is installed."""
    found = [FIRST, "earmark library", *(f"earmark {precision}" for precision in PRECISIONS)]
    found += ["published autocast"] * autocast
    for package, offered in PEERS.items():
        if importlib.util.find_spec(package) is not None and importlib.util.find_spec("onnx") is not None:
            found += offered
    return found


def floor(name: str, peaks: dict[str, float]) -> float:
    """Seconds of one clip if every product ran at the measured peak.

    In earmark's last block the summary tokens alone ask, and pass the layers behind.
    """
    n, d = TOKENS, WIDTH
    linear, attention = 2 * n * d * 12 * d, 4 * n * n * d
    if name.startswith("earmark"):
        linears = (DEPTH - 1) * linear + 2 * n * d * 3 * d + 2 * 2 * d * 9 * d
        others = (DEPTH - 1) * attention + 4 * 2 * n * d
    else:
        linears, others = DEPTH * linear, DEPTH * attention
    others += 2 * (n - 2) * 256 * d  # the patches
    lower = (
        max(peaks["fp32"], peaks["bf16"]) if name.endswith(("bf16", "int8", "autocast")) else peaks["fp32"]
    )
    return (linears / (peaks["int8"] if name.endswith("int8") else lower) + others / lower) / 1e9


def race(contestants: list[Contestant], do: str, clips: int, rounds: int) -> dict[str, list[dict[str, Any]]]:
    """Every contestant once in each round, in turn."""
    taking_part = [one for one in contestants if do in one.can]
    results: dict[str, list[dict[str, Any]]] = {one.name: [] for one in taking_part}
    for number in range(rounds):
        for one in taking_part:
            results[one.name].append(one.ask(do, clips))
        told = f"{do} {clips}: round {number + 1} of {rounds}, load {os.getloadavg()[0]:.1f}"
        print(told, file=sys.stderr)
    return results


def summarized(results: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    """Medians, ratios to the first within each round, and how far the logits are from its."""
    first = results[FIRST]
    table: dict[str, dict[str, Any]] = {}
    for name, runs in results.items():
        row: dict[str, Any] = {
            key: statistics.median(run[key] for run in runs) for key in ("cpu", "wall", "faults", "peak_mb")
        }
        for key in ("cpu", "wall"):
            row[f"{key}_ratio"] = statistics.median(a[key] / b[key] for a, b in zip(first, runs, strict=True))
        if runs[0]["given"] is not None:
            logits = (chain.from_iterable(some[0]["given"]) for some in (first, runs))
            row["off"] = max(abs(a - b) for a, b in zip(*logits, strict=True))
        table[name] = row
    return table


def show(title: str, table: dict[str, dict[str, Any]], clips: int, peaks: dict[str, float]) -> None:
    """Print one table; times are for one clip."""
    print(f"\n{title}: medians for each clip, and times as fast as hear21passt (medians of pairs)")
    print(
        f"{'':20} {'core s':>8} {'wall s':>8} {'x core':>7} {'x wall':>7} {'page faults':>12} {'MB':>6}",
        end="",
    )
    print(f" {'max |d logits|':>15} {'of peak':>8}" if "off" in table[FIRST] else "")
    for name, row in table.items():
        cells = f"{row['cpu'] / clips:8.4f} {row['wall'] / clips:8.4f} {row['cpu_ratio']:7.2f}"
        cells += f" {row['wall_ratio']:7.2f} {row['faults'] / clips:12.0f} {row['peak_mb']:6.0f}"
        if "off" in row:
            row["of_peak"] = floor(name, peaks) * clips / row["cpu"]
            cells += f" {row['off']:15.2g} {row['of_peak']:8.2f}"
        print(f"{name:20} {cells}")


def common(folder: Path, python: Path) -> None:
    """Have the peers' interpreter write the common weights and sound into a folder."""
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    subprocess.run(
        [python, WORKER, "make", folder, "0"], check=True, env=environment, stderr=subprocess.DEVNULL
    )


def rows(peers: Path, rounds: int = 3) -> Rows:
    """One clip of 10 s by PaSST-S and AST, beside who else computes them."""
    found: Rows = []
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, ours, theirs, package in (
            ("PaSST-S, clip of 10 s, fp32", "earmark fp32", FIRST, "hear21passt"),
            ("the same, network alone in ONNX Runtime", "earmark fp32", "onnxruntime fp32", "onnxruntime"),
            ("the same in int8", "earmark int8", "onnxruntime int8", "onnxruntime"),
            ("AST, clip of 10 s, fp32", "earmark_ast fp32", "transformers fp32", "transformers"),
        ):
            needed = [package, *(["hear21passt"] if "ast" not in ours else [])]
            needed += ["onnx"] if package == "onnxruntime" else []
            absent = [one for one in needed if version(one, peers) is None]
            if absent:
                found.append(Missing(name, f"{absent[0]} not installed"))
                continue
            if package == "hear21passt":
                common(folder, peers)
            pair = [Contestant(theirs, folder, 1, WORKER, peers), Contestant(ours, folder, 1)]
            answers = race(pair, "tag", 1, rounds + 1)
            for one in pair:
                one.end()
            logits = (chain.from_iterable(answers[one.name][0]["given"]) for one in pair)
            note = (
                f"largest difference of a logit {max(abs(a - b) for a, b in zip(*logits, strict=True)):.2g}"
            )
            times = [[run["cpu"] for run in answers[one][1:]] for one in (ours, theirs)]
            found.append(paired(name, "core s", *times, f"{package} {version(package, peers)}", note))
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--clips", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--rounds", type=int, nargs="+", default=[7, 2])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--autocast", action="store_true", help="hear21passt under bfloat16 autocast too")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        subprocess.run([sys.executable, WORKER, "make", folder, str(given.seed)], check=True)
        meter = Contestant("peak", folder, given.threads)
        contestants = [Contestant(name, folder, given.threads) for name in names(given.autocast)]
        rates = [meter.ask("tag", 0)["given"] for _ in range(3)]
        race(contestants, "tag", 1, 1)  # warm up
        done: dict[str, Any] = {"machine": platform.processor() or platform.machine(), "seed": given.seed}
        tables: list[tuple[str, str, int]] = []
        for clips, rounds in zip(given.clips, given.rounds, strict=True):
            for do, title, more in (("hear", "front end", 4), ("tag", "whole model", 1)):
                key = f"{title}, {clips} clip{'s' * (clips > 1)}"
                done[key] = summarized(race(contestants, do, clips, rounds * more + more - 1))
                tables.append((key, do, clips))
        rates += [meter.ask("tag", 0)["given"] for _ in range(3)]
        for one in (meter, *contestants):
            one.end()
    peaks = {p: max(rate[place] for rate in rates) for place, p in enumerate(PRECISIONS)}
    done["peak_gops"] = peaks
    print("this core's best products, G operations/s: ", ", ".join(f"{p} {r:.0f}" for p, r in peaks.items()))
    for key, _, clips in tables:
        show(key, done[key], clips, peaks)
    if given.json is not None:
        given.json.write_text(json.dumps(done, indent=2))


if __name__ == "__main__":
    main()
