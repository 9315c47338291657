"""All benchmarks in one table: `python -m benchmarks --peers PYTHON`, from the repository's root.

PYTHON is an interpreter that has the peers, in a place of their own:

    python -m venv peers
    peers/bin/pip install -c constraints.txt torch librosa kaldi-native-fbank transformers onnx onnxruntime
    peers/bin/pip install --no-deps hear21passt==0.0.26 torchaudio==2.11.0

Without it, rows whose peer is missing say so.  Each row computes the same work twice, in turn, with the same
weights where there are any, one thread each; a ratio is of one round, and the table has their median, least
and most.  Seconds are the processor's ("core s") where nothing is waited for.
"""

import argparse
import os
import sys
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
sys.path.insert(0, str(Path(__file__).parent))  # the scripts run by themselves, too

import decoding
import feeding
import front_ends
import index
import long_file
import patchout
import startup
import torch
from table import Missing, Rows, markdown, picture

import hear
import inference

PARTS = {
    "decoding": decoding.rows,
    "front_ends": front_ends.rows,
    "inference": inference.rows,
    "startup": startup.rows,
    "patchout": patchout.rows,
    "hear": hear.rows,
    "feeding": feeding.rows,
    "long_file": long_file.rows,
    "index": index.rows,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; all if none is named")
    parser.add_argument(
        "--peers", type=Path, default=Path(sys.executable), help="an interpreter with the peers"
    )
    parser.add_argument(
        "--out", type=Path, default=Path("runs/benchmarks.md"), help="the table; the picture lies beside it"
    )
    given = parser.parse_args()
    if unknown := set(given.parts) - set(PARTS):
        parser.error(f"{', '.join(sorted(unknown))} is not one of {', '.join(PARTS)}")
    torch.set_num_threads(1)
    began = time.perf_counter()
    found: Rows = []
    for name in given.parts or PARTS:
        print(f"{time.perf_counter() - began:4.0f} s: {name}", file=sys.stderr)
        try:
            found += PARTS[name](given.peers)
        except ImportError as error:
            found.append(Missing(name, f"{error.name} not installed"))
        table = markdown(
            found, time.perf_counter() - began
        )  # after each part: a stopped run has told something
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(table)
    print(given.out.read_text())
    try:
        picture(found, given.out.with_suffix(".png"))
    except ImportError:
        print("no picture: matplotlib is not installed", file=sys.stderr)


if __name__ == "__main__":
    main()
