"""How fast clips are packed, and how fast any of them are read again.

    python benchmarks/packing.py FOLDER [CLIPS]

prints two tables of Markdown.  FOLDER is a table or a folder of sounds, such as ESC-50; CLIPS how many of
them are encoded anew (all are packed as they are).  Processor seconds are those of all processes, their start
included.
"""

import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np

from earmark.data.feeding.decoding import Place, encoded
from earmark.data.packs.contents import clips_of
from earmark.data.packs.rows import Packing, Row
from earmark.data.packs.sources import rows_of
from earmark.data.packs.writing import write_pack

READ = 2000


def used() -> float:
    """Processor seconds of this process and of those that have ended."""
    spent = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in spent)


def packed(rows: list[Row], folder: Path, packing: Packing, workers: int) -> tuple[float, float, float]:
    """Clips a second, clips a second of processor, and bytes of the files to bytes of the pack."""
    begin, before = time.perf_counter(), used()
    index = write_pack(rows, folder, packing, workers)
    wall, processor = time.perf_counter() - begin, used() - before
    size = sum(path.stat().st_size for path in {row.clip.path for row in rows})
    return len(rows) / wall, len(rows) / processor, sum(shard.bytes for shard in index.shards) / size


def read(get: Callable[[int], object], count: int) -> tuple[float, float]:
    """Microseconds of processor and of the clock for one clip, in random order, the best of three rounds."""
    order = np.random.default_rng(0).integers(count, size=READ).tolist()
    best = (float("inf"), float("inf"))
    for _ in range(3):
        begin, before = time.perf_counter(), time.process_time()
        for index in order:
            get(index)
        best = min(best, (time.process_time() - before, time.perf_counter() - begin))
    return best[0] / READ * 1e6, best[1] / READ * 1e6


def main() -> None:
    rows = rows_of(Path(sys.argv[1])).rows
    some = rows[:: max(1, len(rows) // int(sys.argv[2] if sys.argv[2:] else 200))]
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        print("| clips | packed as | workers | clips/s | clips/s of processor | size |")
        print("|---|---|---|---|---|---|")
        for encode, chosen in (("as-is", rows), ("int16", some), ("flac", some), ("opus", some)):
            for workers in (1, 2):
                packing = Packing(encode=encode, shard_mb=20 if encode == "as-is" else 2)
                found = packed(chosen, scratch / f"{encode}{workers}", packing, workers)
                speeds = " | ".join(f"{one:,.0f}" for one in found[:2])
                print(f"| {len(chosen)} | {encode} | {workers} | {speeds} | {found[2]:.2f} |", flush=True)
        write_pack(rows, scratch / "tars", Packing(to="webdataset", shard_mb=20))
        paths = [str(row.clip.path) for row in rows]
        print("\n| encoded bytes of a random clip, from | us of processor | us |\n|---|---|---|")
        print(
            "| files | {:,.0f} | {:,.0f} |".format(
                *read(lambda index: Path(paths[index]).read_bytes(), len(rows))
            )
        )
        for kind in ("as-is1", "tars"):
            places = [Place(str(clip.path), clip.row, 0, None) for _, clip in clips_of(scratch / kind)]
            found = read(lambda index, places=places: encoded(places[index]), len(places))
            print("| {} | {:,.0f} | {:,.0f} |".format("tars" if kind == "tars" else "Parquet", *found))


if __name__ == "__main__":
    main()
