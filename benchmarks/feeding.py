"""How many clips a second reach a trainer: out of the cache, decoded on the fly, and from packs.

    python benchmarks/feeding.py [FOLDER]

prints a row of Markdown.  FOLDER holds sounds; without it they are made, ten seconds each, as ogg.  All is
read by one process, in random order, as float32 at 32 kHz; a second is one of the processor's, so that what
else the machine does counts little.
"""

import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"

import h5py
import numpy as np
import soundfile
from table import Missing, Rows, in_turn, paired, version

from earmark import audio
from earmark.data import Clip
from earmark.data.feeding.decoding import Place, encoded
from earmark.data.feeding.sounds import open_sounds, waveform
from earmark.data.packs.contents import clips_of
from earmark.data.packs.hdf5 import read_pack
from earmark.data.packs.rows import Packing, Row
from earmark.data.packs.writing import write_pack

RATE = 32000
CLIPS = 200
SUFFIXES = {".ogg", ".wav", ".flac", ".mp3"}


def made(folder: Path, count: int = 40) -> list[Path]:
    """Sounds of ten seconds with some structure, so that encoders do not take them for noise."""
    time_axis = np.arange(10 * 44100) / 44100
    paths = [folder / f"{index:03d}.ogg" for index in range(count)]
    for index, path in enumerate(paths):
        draws = np.random.default_rng(index)
        tones = sum(np.sin(2 * np.pi * pitch * time_axis) for pitch in draws.uniform(80, 8000, 12)) / 24
        sound = tones * np.abs(np.sin(2 * np.pi * draws.uniform(0.2, 3) * time_axis))
        with soundfile.SoundFile(path, "w", 44100, 1) as file:
            for start in range(0, len(sound), 44100):
                file.write(sound[start : start + 44100])
    return paths


def pack(paths: list[Path], target: Path) -> Path:
    """The same sounds as MP3, in PaSST's layout."""
    with h5py.File(target, "w") as file:
        rows = file.create_dataset("mp3", (len(paths),), dtype=h5py.vlen_dtype(np.uint8))
        for row, path in enumerate(paths):
            encoded = io.BytesIO()
            soundfile.write(encoded, audio.load(path, RATE), RATE, format="MP3")
            rows[row] = np.frombuffer(encoded.getvalue(), np.uint8)
        file["target"] = np.zeros((len(paths), 1), np.uint8)
    return target


def speed(clips: list[Clip], cache: Path | None = None) -> float:
    """Clips a second, the best of three rounds; what is read once beforehand is in the system's memory."""
    sounds = open_sounds(clips, RATE, cache, workers=0)
    order = np.random.default_rng(0).permutation(np.arange(CLIPS) % len(clips)).tolist()
    best = 0.0
    for _ in range(4):
        begin = time.process_time()
        for index in order:
            waveform(sounds, index)
        best = max(best, len(order) / (time.process_time() - begin))
    return best


def rows(_: Path, clips: int = 30, rounds: int = 5) -> Rows:
    """Clips to a trainer, beside HDF5 of MP3 as PaSST's loader reads it: the row's bytes, decoded by PyAV."""
    names = ("clips of 10 s out of HDF5 of MP3", "the same clips out of the int16 cache")
    if version("av") is None:
        return [Missing(name, "av not installed") for name in names]
    import av

    def theirs() -> None:
        with h5py.File(packed) as file:
            for index in range(clips):
                with av.open(io.BytesIO(file["mp3"][index].tobytes())) as container:
                    blocks = [frame.to_ndarray() for frame in container.decode(audio=0)]
                np.concatenate(blocks, axis=1).mean(axis=0, dtype=np.float32)

    def read(sounds: Any) -> Callable[[], None]:
        def run() -> None:
            for index in range(clips):
                waveform(sounds, index)

        return run

    found: Rows = []
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        paths = made(scratch, clips)
        packed = pack(paths, scratch / "pack.hdf")
        sources = (
            open_sounds(read_pack(packed, ("one",)), RATE, None, workers=0),
            open_sounds([Clip(path, ()) for path in paths], RATE, scratch / "cache", workers=0),
        )
        for name, sounds in zip(names, sources, strict=True):
            times = in_turn(read(sounds), theirs, rounds)
            each = [[spent / clips for spent in some] for some in times]
            found.append(paired(name, "core ms", *each, f"h5py {h5py.__version__} + av {av.__version__}"))
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        found = (
            [p for p in sorted(Path(sys.argv[1]).rglob("*")) if p.suffix in SUFFIXES] if sys.argv[1:] else []
        )
        paths = found[:CLIPS] or made(scratch)
        clips = [Clip(path, ()) for path in paths]
        seconds = np.mean([audio.probe(path).seconds or 0 for path in paths])
        cached = speed(clips, scratch / "cache")
        decoded = speed(clips)
        packed = speed(read_pack(pack(paths, scratch / "pack.hdf"), ("one",)))
        rows = [Row(path.name, clip) for path, clip in zip(paths, clips, strict=True)]
        sharded: list[float] = []
        for kind in ("parquet", "webdataset"):
            write_pack(rows, scratch / kind, Packing(to=kind))
            sharded.append(speed([clip for _, clip in clips_of(scratch / kind)]))
        inside = [clip for _, clip in clips_of(scratch / "parquet")]
        begin = time.process_time()
        count = sum(bool(encoded(Place(str(clip.path), clip.row, 0, None))) for clip in inside)
        streamed = count / (time.process_time() - begin)
    kinds = "/".join(sorted({path.suffix[1:] for path in paths}))
    print(
        "| clips | cache | on the fly | HDF5 of MP3 | Parquet | tar "
        "| Parquet in order, not decoded | cache to MP3 |"
    )
    print("|---|---|---|---|---|---|---|---|")
    speeds = " | ".join(f"{value:,.0f}/s" for value in (cached, decoded, packed, *sharded, streamed))
    print(f"| {len(paths)} {kinds} of {seconds:.1f} s | {speeds} | {cached / packed:.0f}x |")


if __name__ == "__main__":
    main()
