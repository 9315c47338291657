"""Put sounds for pretraining into one folder: ESC-50 without ESC-10, and what Debian packages hold.

    apt-get download asterisk-core-sounds-{en,es,fr,it,ru}-wav tuxpaint-stamps-default \
        colobot-common-sounds singularity-music
    for package in *.deb; do dpkg -x $package packages/${package%%_*}; done
    python benchmarks/unlabeled_sounds.py --esc50 DATA/esc50_16k --packages packages/* --out sounds

No clip of ESC-10, of the Free Spoken Digit Dataset or of RAVDESS is among them, so that one pretraining run
can be probed on all three.  Of ESC-50 also those clips are left out that were cut from a recording of ESC-10.
Files are linked, or with --copy copied; one that holds the same bytes as an earlier one is left out.
"""

import argparse
import csv
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

from earmark.data.class_folders import is_sound


def main() -> None:
    """Make the folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--esc50", type=Path, required=True, help="folder of esc50.csv, in it or above its sounds"
    )
    parser.add_argument("--packages", type=Path, nargs="*", default=[], help="folders of unpacked packages")
    parser.add_argument("--out", type=Path, required=True, help="folder to make")
    parser.add_argument("--copy", action="store_true", help="copy files instead of linking them")
    given = parser.parse_args()
    sources = {"esc50": list(of_esc50(given.esc50))}
    sources |= {folder.name: list(of_package(folder)) for folder in given.packages}
    known: set[str] = set()
    for name, sounds in sources.items():
        kept = 0
        for inside, path in sounds:
            digest = hashlib.sha256(path.read_bytes()).hexdigest()
            if digest not in known:
                place(path, given.out / name / inside, given.copy)
                kept += 1
            known.add(digest)
        print(f"{name}: {kept} sounds, {len(sounds) - kept} were there before")


def of_esc50(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Name and file of each clip of ESC-50 that shares no recording with ESC-10."""
    table = next(folder.rglob("esc50.csv"))
    found = {path.name: path for path in folder.rglob("*") if is_sound(path.name)}
    with table.open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    probed = {row["src_file"] for row in rows if row["esc10"] == "True"}
    for row in rows:
        if row["src_file"] not in probed:
            yield Path(row["filename"]), found[row["filename"]]


def of_package(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Place and file of each sound of a package."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and is_sound(path.name):
            yield path.relative_to(folder), path


def place(path: Path, target: Path, copy: bool) -> None:
    """Link or copy a file; one that is there already is replaced."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    if copy:
        shutil.copyfile(path, target)
    else:
        target.symlink_to(path.resolve())


if __name__ == "__main__":
    main()
