"""Where corpora are published whose licenses and addresses allow it, and how they come into a folder."""

import shutil
from pathlib import Path
from typing import NamedTuple

from earmark.config import ConfigError
from earmark.fetching import FetchError, Patience, Remote, alone, fetch, progress_bar, unpack
from earmark.labels import SPEECH_COMMANDS
from earmark.storage import made_folder

GIGABYTE = 1000**3
PLACE = ".downloads"
"""The folder inside the corpus's own where archives wait to be unpacked, and where their records stay."""


class Archive(NamedTuple):
    """An archive of a corpus.

    Attributes:
        files: it, or its parts in order.
        brings: what is in the corpus's folder when it is unpacked.
        inside: the folder of the archive whose content goes there; empty for all of it.
        max_bytes: more than it takes unpacked.
    """

    files: tuple[Remote, ...]
    brings: tuple[str, ...]
    inside: str = ""
    max_bytes: int = GIGABYTE


class Publication(NamedTuple):
    """A published corpus.

    Attributes:
        license: under which its makers give it away, in words.
        archives: what it consists of.
    """

    license: str
    archives: tuple[Archive, ...]


def _zenodo(record: int, name: str, size: int, md5: str) -> Remote:
    return Remote(name, f"https://zenodo.org/records/{record}/files/{name}?download=1", size, md5=md5)


def _fsd50k(name: str, size: int, md5: str) -> Remote:
    return _zenodo(4060432, f"FSD50K.{name}", size, md5)


_PART = 3 * 1024**3
_ESC50 = "33c8ce9eb2cf0b1c2f8bcf322eb349b6be34dbb6"

DOWNLOADS = {
    # GitHub packs a commit anew when it is asked, so that neither size nor digest can be promised; the
    # checksums inside the archive and the corpus's own table tell whether all of it came.
    "ESC50": Publication(
        "CC BY-NC 3.0 as a whole; ESC-10 CC BY 3.0; each clip's author and license stand in LICENSE",
        (
            Archive(
                (Remote("ESC-50.zip", f"https://github.com/karolpiczak/ESC-50/archive/{_ESC50}.zip"),),
                ("audio", "meta"),
                f"ESC-50-{_ESC50}",
                4 * GIGABYTE,
            ),
        ),
    ),
    "SpeechCommands": Publication(
        "CC BY 4.0",
        (
            Archive(
                (
                    Remote(
                        "speech_commands_v0.02.tar.gz",
                        "https://storage.googleapis.com/download.tensorflow.org/data/speech_commands_v0.02.tar.gz",
                        2428923189,
                        "af14739ee7dc311471de98f5f9d2c9191b18aedfe957f4a6ff791c709868ff58",
                    ),
                ),
                (*SPEECH_COMMANDS, "validation_list.txt", "testing_list.txt"),
                max_bytes=16 * GIGABYTE,
            ),
        ),
    ),
    "OpenMIC": Publication(
        "CC BY 4.0; each recording's own license stands in openmic-2018-metadata.csv",
        (
            Archive(
                (
                    _zenodo(
                        1432913, "openmic-2018-v1.0.0.tgz", 2623376754, "e4ccf187e2bb5ab2e115416e8aafe7f4"
                    ),
                ),
                ("audio", "partitions", "openmic-2018.npz"),
                "openmic-2018",
                32 * GIGABYTE,
            ),
        ),
    ),
    "FSD50K": Publication(
        "CC BY 4.0; each clip's own license (CC0, CC BY, CC BY-NC or Sampling+) stands in FSD50K.metadata",
        (
            Archive(
                (_fsd50k("ground_truth.zip", 334701, "ca27382c195e37d2269c4c866dd73485"),),
                ("FSD50K.ground_truth",),
            ),
            Archive(
                (_fsd50k("metadata.zip", 6700838, "b9ea0c829a411c1d42adb9da539ed237"),),
                ("FSD50K.metadata",),
            ),
            Archive((_fsd50k("doc.zip", 6984, "3516162b82dc2945d3e7feba0904e800"),), ("FSD50K.doc",)),
            Archive(
                (
                    _fsd50k("dev_audio.z01", _PART, "faa7cf4cc076fc34a44a479a5ed862a3"),
                    _fsd50k("dev_audio.z02", _PART, "8f9b66153e68571164fb1315d00bc7bc"),
                    _fsd50k("dev_audio.z03", _PART, "1196ef47d267a993d30fa98af54b7159"),
                    _fsd50k("dev_audio.z04", _PART, "d088ac4e11ba53daf9f7574c11cccac9"),
                    _fsd50k("dev_audio.z05", _PART, "81356521aa159accd3c35de22da28c7f"),
                    _fsd50k("dev_audio.zip", 2306663327, "c480d119b8f7a7e32fdb58f3ea4d6c5a"),
                ),
                ("FSD50K.dev_audio",),
                max_bytes=64 * GIGABYTE,
            ),
            Archive(
                (
                    _fsd50k("eval_audio.z01", _PART, "3090670eaeecc013ca1ff84fe4442aeb"),
                    _fsd50k("eval_audio.zip", 3037675767, "6fa47636c3a3ad5c7dfeba99f2637982"),
                ),
                ("FSD50K.eval_audio",),
                max_bytes=32 * GIGABYTE,
            ),
        ),
    ),
}
"""By the kind of corpus.  Sizes and digests as Zenodo and TensorFlow Datasets publish them."""


def publication(kind: str) -> Publication:
    """Where a kind of corpus is published.

    Raises:
        ConfigError: it cannot be downloaded.
    """
    if kind not in DOWNLOADS:
        raise ConfigError(f"{kind} cannot be downloaded; --download knows {', '.join(DOWNLOADS)}")
    return DOWNLOADS[kind]


def download(published: Publication, root: Path, patience: Patience | None = None) -> list[str]:
    """Have a corpus in a folder, from the network as far as it is not there.

    What an interrupted call left is taken up: half a file, a file that was not unpacked, an archive that was
    not wholly moved into place.  Archives are deleted once their content is there; the record of their size
    and digest stays.

    Args:
        published: what to have.
        root: where; the folder is made.
        patience: how long to wait for a server.

    Returns:
        What was put there, by name; nothing if everything was there before.

    Raises:
        FetchError: something cannot be had, is damaged, or would replace what is there.
        OSError: the folder cannot be written.
    """
    place = made_folder(root / PLACE)
    brought: list[str] = []
    with alone(place / "archives"):
        for archive in published.archives:
            unpacked = place / f"{archive.files[-1].name}.unpacked"
            if not unpacked.exists():
                if all((root / name).exists() for name in archive.brings):
                    continue
                _check_free(archive, root)
                _fetch(archive, root, unpacked, patience or Patience())
            brought += _move(archive, unpacked, root)
            for remote in archive.files:
                (place / remote.name).unlink(missing_ok=True)
    return brought


def _check_free(archive: Archive, root: Path) -> None:
    """Before gigabytes come: nothing of what is brought may be there already."""
    taken = [name for name in archive.brings if (root / name).exists()]
    if taken:
        reason = "is there already, but not all that belongs to it; give an empty folder"
        raise FetchError(root / taken[0], reason)


def _fetch(archive: Archive, root: Path, unpacked: Path, patience: Patience) -> None:
    files = [root / PLACE / remote.name for remote in archive.files]
    for remote, target in zip(archive.files, files, strict=True):
        otherwise = f"download it yourself and unpack it into {root}"
        with progress_bar(remote.name) as tell:
            fetch(remote._replace(otherwise=otherwise), target, tell, patience)
    unpack(files, unpacked, archive.max_bytes)


def _move(archive: Archive, unpacked: Path, root: Path) -> list[str]:
    """Move what was unpacked into the corpus's folder; what an interrupted call moved stays moved."""
    source = unpacked / archive.inside
    names = sorted(path.name for path in source.iterdir()) if source.is_dir() else []
    lacking = [name for name in archive.brings if name not in names and not (root / name).exists()]
    if lacking:
        shutil.rmtree(unpacked)
        for remote in archive.files:
            (root / PLACE / remote.name).unlink(missing_ok=True)
        raise FetchError(archive.files[-1].name, f"brought no {lacking[0]}; it is not what was published")
    moved: list[str] = []
    for name in names:
        if not (root / name).exists():
            (source / name).rename(root / name)
            moved.append(name)
        elif name in archive.brings:
            raise FetchError(root / name, f"is there already; move it away, or {source / name} to its place")
    shutil.rmtree(unpacked)
    return moved
