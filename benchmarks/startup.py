"""What commands cost from their start to their end, beside a program that does nothing but import torch.

    python -m benchmarks startup

Wall seconds of whole processes, in turn, and the most memory that each had resident.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from table import Missing, Rows, paired, version

CLIP = Path(__file__).parent.parent / "examples" / "crow.flac"
ROUNDS = 3
SHIPPED = "`earmark tag` of one clip, by ONNX Runtime"
COMMANDS = {
    "`earmark --help`": ["--help"],
    SHIPPED: ["tag", str(CLIP)],
    "`earmark tag` of one clip, by torch": ["tag", str(CLIP), "--model", "CHECKPOINT"],
    "`earmark embed` of one clip": ["embed", str(CLIP), "--out", "OUT"],
}
NOTHING = ["-c", "import torch"]


LAUNCHER = """
import os, subprocess, sys, time
began = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), time.perf_counter() - began, usage.ru_maxrss / 1e3)
"""
"""A small process that starts the command: its most memory counts from what its parent had."""


def cost(arguments: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Wall seconds and MB of one process; its decoder's memory is not in it."""
    launcher = [sys.executable, "-S", "-c", LAUNCHER, sys.executable, *arguments]
    answer = subprocess.run(launcher, check=True, capture_output=True, text=True, env=environment).stdout
    status, wall, memory = map(float, answer.split())
    if status:
        raise SystemExit(f"{arguments} ended with {status:.0f}")
    return wall, memory


def rows(_: Path) -> Rows:
    """Two for each command: time and memory."""
    import earmark

    fast = version("onnxruntime") is not None
    commands = {name: words for name, words in COMMANDS.items() if fast or name != SHIPPED}
    with tempfile.TemporaryDirectory() as folder:
        # with compiled files, as an installed package has them
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
        environment["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "compiled")
        given = {
            "CHECKPOINT": str(Path(earmark.__file__).parent / "weights" / "builtin.safetensors"),
            "OUT": str(Path(folder) / "out.npz"),
        }
        rounds = [
            {
                name: cost(arguments, environment)
                for name, arguments in {
                    "": NOTHING,
                    **{
                        name: ["-m", "earmark", *(given.get(word, word) for word in words)]
                        for name, words in commands.items()
                    },
                }.items()
            }
            for _ in range(ROUNDS + 1)
        ][1:]
    peer = f"importing torch {version('torch')}"
    found: Rows = [] if fast else [Missing(SHIPPED, "onnxruntime not installed")]
    for place, (what, unit) in enumerate((("", "s"), (", most memory", "MB"))):
        for name in commands:
            ours, theirs = ([one[key][place] for one in rounds] for key in (name, ""))
            found.append(paired(name + what, unit, ours, theirs, peer))
    return found
