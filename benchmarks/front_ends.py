"""Front ends on one clip of 10 s, beside librosa, kaldi-native-fbank, transformers and hear21passt.

    python -m benchmarks front_ends --peers PYTHON

Each is a process of its own that computes the same features of one noise; see `front_end_contestants.py`.
"""

import tempfile
from pathlib import Path

import numpy as np
from table import Missing, Rows, paired, version

from inference import Contestant

WORKER = Path(__file__).parent / "front_end_contestants.py"
ROUNDS = 9
PEERS = {
    "slaney": ("decibels of 64 bands at 16 kHz", "librosa"),
    "kaldi": ("Kaldi's bank of 80 bands at 16 kHz", "kaldi-native-fbank"),
    "ast": ("AST's input at 16 kHz", "transformers"),
    "passt": ("PaSST's log-mel at 32 kHz", "hear21passt"),
}


def rows(peers: Path) -> Rows:
    """One for each front end."""
    found: Rows = []
    for which, (what, package) in PEERS.items():
        name, released = f"front end, 10 s: {what}", version(package, peers)
        if released is None:
            found.append(Missing(name, f"{package} not installed"))
            continue
        with tempfile.TemporaryDirectory() as folder:
            sides = [
                Contestant(f"earmark {which}", Path(folder), 1, WORKER),
                Contestant(f"peer {which}", Path(folder), 1, WORKER, peers),
            ]
            answers = [[side.ask("features", 1) for side in sides] for _ in range(ROUNDS + 2)][2:]
            for side in sides:
                side.end()
        ours, theirs = (np.array(one["given"]) for one in answers[0])
        note = f"largest difference {np.abs(ours - theirs).max():.1g}"
        times = [[1000 * one[place]["cpu"] for one in answers] for place in (0, 1)]
        found.append(paired(name, "core ms", *times, f"{package} {released}", note))
    return found
