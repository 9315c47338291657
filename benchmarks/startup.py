"""What the first tag costs: `earmark tag` on one short clip against importing torch alone, in turn.

python benchmarks/startup.py [--rounds 7]
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

CLIP = Path(__file__).parent.parent / "examples" / "crow.flac"


def seconds(*arguments: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, *arguments], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=7)
    rounds = [
        (
            seconds("-c", "import torch"),
            seconds("-m", "earmark", "tag", str(CLIP)),
            seconds("-m", "earmark", "--help"),
        )
        for _ in range(parser.parse_args().rounds)
    ]
    torch_alone, tag, helped = (statistics.median(column) for column in zip(*rounds, strict=True))
    beyond = statistics.median(b - a for a, b, _ in rounds)
    print(f"medians of {len(rounds)} rounds, wall seconds:")
    print(f"import torch    {torch_alone:.2f}")
    print(f"earmark tag     {tag:.2f}   {beyond:.2f} beyond importing torch, pair by pair")
    print(f"earmark --help  {helped:.2f}")


if __name__ == "__main__":
    main()
