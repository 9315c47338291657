"""What training on AudioSet needs: processors that feed a GPU, storage, hours; docs/sizing.md explains it.

    python benchmarks/sizing.py FOLDER [--peak 989] [--share 0.45]

FOLDER holds sounds, such as ESC-50's audio; of two neighbors each a clip of ten seconds is made, mono at 32
kHz.  Measured, on one core: clips a second as float32 in random order, and bytes, for each way to store them.
Computed: the products of PaSST's blocks, and what follows for a GPU of which a share of the peak is reached.
"""

import argparse
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import soundfile
from feeding import RATE, SUFFIXES, pack, speed

from earmark import audio
from earmark.data import Clip
from earmark.data.packs.contents import clips_of
from earmark.data.packs.hdf5 import read_pack
from earmark.data.packs.rows import Packing, Row
from earmark.data.packs.writing import write_pack
from earmark.encoders import PaSST
from earmark.recipes.audioset_passt import B, N, S

AUDIOSET = 2_042_985
"""Clips of the balanced and the unbalanced set that PaSST's authors had; 2,020,713 in others' copies."""
CLIPS = 60


class Store(NamedTuple):
    """A way to keep clips of ten seconds.

    Attributes:
        name: in words.
        clips_a_second: one core's.
        size: bytes of a clip.
    """

    name: str
    clips_a_second: float
    size: float


def ten_seconds(found: list[Path], folder: Path) -> list[Path]:
    """Pairs of sounds, cut to ten seconds at `RATE`."""
    made: list[Path] = []
    for index, (one, two) in enumerate(zip(found[::2], found[1::2], strict=False)):
        both = np.concatenate([audio.load(one, RATE), audio.load(two, RATE)])
        made.append(folder / f"{index:03d}.flac")
        soundfile.write(made[-1], np.resize(both, 10 * RATE), RATE)
    return made


def stores(paths: list[Path], scratch: Path) -> list[Store]:
    """Measure each way."""
    rows = [Row(path.name, Clip(path, ())) for path in paths]
    mp3 = pack(paths, scratch / "pack.hdf")
    found = [Store("HDF5 of MP3, as PaSST has it", speed(read_pack(mp3, ("one",))), size_of(mp3))]
    for encode, rate in (("opus", 48000), ("flac", RATE), ("int16", RATE)):
        folder = scratch / encode
        write_pack(rows, folder, Packing(encode=encode, rate=rate))
        clips = [clip for _, clip in clips_of(folder)]
        found.append(
            Store(
                f"Parquet of {encode}, {rate // 1000} kHz", speed(clips), size_of(*folder.glob("*.parquet"))
            )
        )
    cached = speed([row.clip for row in rows], scratch / "cache")
    found.append(Store("cache of decoded int16", cached, 10 * RATE * 2 * len(paths)))
    return [store._replace(size=store.size / len(paths)) for store in found]


def size_of(*files: Path) -> float:
    """Bytes of files together."""
    return float(sum(path.stat().st_size for path in files))


def tokens(encoder: PaSST) -> int:
    """Patches of ten seconds that are left in training, and the two class tokens."""
    rows, columns = (encoder.n_bands - 16) // encoder.stride[0] + 1, (998 - 16) // encoder.stride[1] + 1
    out = encoder.patchout
    return (rows - out.frequency) * (columns - out.time) - out.patches + 2


def work(encoder: PaSST) -> float:
    """Floating-point operations of a training step for a clip: those of the forward pass three times.

    A block multiplies n tokens of width d by 12 d x d matrices, and n x n by d twice; each product is an
    addition, too.
    """
    n, d = tokens(encoder), encoder.dim
    return 3 * encoder.depth * (24.0 * n * d**2 + 4.0 * n**2 * d)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peak", type=float, default=989.0, help="of the GPU in bf16, TFLOP/s; an H200's")
    parser.add_argument("--share", type=float, default=0.45, help="of the peak that is reached")
    given = parser.parse_args()
    rate = given.peak * 1e12 * given.share / work(S.model.encoder)
    mixup = S.augment.wave_mixup
    heard = rate * (1 + (mixup.share if mixup else 0))
    with tempfile.TemporaryDirectory() as name:
        found = [path for path in sorted(given.folder.rglob("*")) if path.suffix in SUFFIXES]
        paths = ten_seconds(found[: 2 * CLIPS], Path(name))
        print(f"PaSST-S: {rate:,.0f} clips a second, {heard:,.0f} decoded\n")
        print("| store | KB a clip | AudioSet, TB | clips a second and core | cores |")
        print("|---|---|---|---|---|")
        for store in stores(paths, Path(name)):
            print(
                f"| {store.name} | {store.size / 1e3:.0f} | {store.size * AUDIOSET / 1e12:.2f} "
                f"| {store.clips_a_second:,.0f} | {heard / store.clips_a_second:.1f} |"
            )
    print("\n| recipe | tokens | GFLOP a clip | clips a second | hours |")
    print("|---|---|---|---|---|")
    for title, recipe in (("PaSST-B", B), ("PaSST-S", S), ("PaSST-S-N", N)):
        flops = work(recipe.model.encoder)
        each = given.peak * 1e12 * given.share / flops
        clips = recipe.epochs * (recipe.epoch_clips or AUDIOSET)
        print(
            f"| {title} | {tokens(recipe.model.encoder)} | {flops / 1e9:.0f} | {each:,.0f} "
            f"| {clips / each / 3600:.1f} |"
        )


if __name__ == "__main__":
    main()
