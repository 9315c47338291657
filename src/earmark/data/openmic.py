"""OpenMIC-2018: which of 20 instruments play in ten seconds of music, as far as anybody was asked."""

import json
import pickletools
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from earmark.config import ConfigError, Frozen
from earmark.data.archives import find_packs, unpacked
from earmark.data.clips import Clip, Split, first_existing, read_rows
from earmark.data.packs.hdf5 import read_pack
from earmark.labels import OPENMIC, LabelSet

PARTITIONS = ("split01_train", "split01_test")
ARRAYS = "openmic-2018.npz"
TABLE = "openmic-2018-aggregated-labels.csv"
MAX_ARRAY_BYTES = 256 * 1024**2
TRUE_ABOVE = 0.5

TEXTS = ("UNICODE", "UNICODE8", "STRING")
BETWEEN = {
    "MARK",
    "APPEND",
    "APPENDS",
    "PUT",
    "BINPUT",
    "LONG_BINPUT",
    "MEMOIZE",
    "FRAME",
    "TUPLE",
    "BUILD",
    "STOP",
}
"""What may stand in a pickle between the texts of a list and behind them."""

Judged = dict[str, dict[str, float]]
"""By clip and instrument, how probable it is that it is heard; pairs that nobody judged are absent."""


class OpenMIC(Frozen):
    """OpenMIC-2018 from the official archive, or from PaSST's packs of it.

    An instrument is true where its probability is above 0.5, and unknown where nobody was asked: unknown
    ones are left out of loss and metrics.

    Source:
        Humphrey, Durand and McFee, OpenMIC-2018: an open dataset for multiple instrument recognition, ISMIR
        2018; the threshold and the mask as in PaSST (arXiv:2110.05069).

    Example:
        >>> OpenMIC().labels.names[:2]
        ('accordion', 'banjo')
    """

    kind: Literal["OpenMIC"] = "OpenMIC"

    @property
    def n_folds(self) -> int:
        """There are no folds: one part is held out by its makers."""
        return 0

    @property
    def labels(self) -> LabelSet:
        """The 20 instruments in the order of the class map; several may hold for a clip."""
        return LabelSet(names=OPENMIC)

    def read(self, root: Path) -> Split:
        """Read both parts.

        Args:
            root: the folder with `openmic-2018-aggregated-labels.csv` (or `openmic-2018.npz`), `partitions/`
                and `audio/`; or with PaSST's `mp3/openmic_train.csv_mp3.hdf` and so on.

        Raises:
            ConfigError: the folder or one of its files is not of this form.
        """
        packs = find_packs(root, [f"openmic_{part}.csv_mp3.hdf" for part in ("train", "test")])
        if packs is not None:
            train, test = (read_pack(pack, self.labels.names) for pack in packs)
            return Split(self.labels, train, test)
        root = unpacked(root, ("openmic-2018",), "partitions", "OpenMIC-2018")
        first_existing(root, ("audio",), "folder of OpenMIC-2018's clips")
        _check_class_map(root / "class-map.json")
        judged = read_table(root / TABLE) if (root / TABLE).is_file() else read_arrays(root / ARRAYS)
        train, test = (
            [_clip(root, key, judged) for key in _keys(root / "partitions" / f"{name}.csv")]
            for name in PARTITIONS
        )
        return Split(self.labels, train, test)


def _clip(root: Path, key: str, judged: Judged) -> Clip:
    if key not in judged:
        raise ConfigError(f"{root}: {key!r:.60} is in a partition, but no label of it is known")
    found = judged[key]
    return Clip(
        root / "audio" / key[:3] / f"{key}.ogg",
        tuple(name for name in OPENMIC if found.get(name, 0.0) > TRUE_ABOVE),
        unknown=tuple(name for name in OPENMIC if name not in found),
    )


def _keys(partition: Path) -> list[str]:
    try:
        keys = partition.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{partition}: cannot be read as a list of clips ({error})") from None
    if not keys:
        raise ConfigError(f"{partition} lists no clips")
    return keys


def _check_class_map(path: Path) -> None:
    """Refuse another order of instruments: the arrays have no names of their own."""
    if not path.is_file():
        return
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigError(f"{path}: cannot be read as JSON ({error})") from None
    if found != {name: index for index, name in enumerate(OPENMIC)}:
        raise ConfigError(f"{path} is not OpenMIC-2018's map of 20 instruments")


def read_table(table: Path) -> Judged:
    """The labels of the archive's table: one row for each clip and instrument that was judged.

    Raises:
        ConfigError: the table is missing or damaged.
    """
    judged: Judged = {}
    for row in read_rows(table, ("sample_key", "instrument", "relevance")):
        name = row["instrument"].replace(" ", "_")
        try:
            relevance = float(row["relevance"])
        except (TypeError, ValueError):
            relevance = -1.0
        if name not in OPENMIC or not 0 <= relevance <= 1:
            raise ConfigError(
                f"{table}: {row['instrument']!r} with relevance {row['relevance']!r} of {row['sample_key']}; "
                "it takes one of the 20 instruments and a number from 0 to 1"
            )
        judged.setdefault(row["sample_key"], {})[name] = relevance
    return judged


def read_arrays(path: Path) -> Judged:
    """The labels of the archive's arrays.

    The published file keeps the names of its clips as a pickle.  It is never unpickled, as that would run
    what is in it: only the texts in its list are taken.

    Raises:
        ConfigError: the file is missing or damaged, or its arrays do not fit together.
    """
    try:
        with zipfile.ZipFile(path) as file:
            wanted = ("sample_key", "Y_true", "Y_mask")
            sizes = [file.getinfo(f"{name}.npy").file_size for name in wanted]
            if max(sizes) > MAX_ARRAY_BYTES:
                raise ConfigError(f"{path}: an array of {max(sizes)} bytes; {MAX_ARRAY_BYTES} are allowed")
            keys = _texts(file, "sample_key.npy")
        with np.load(path, allow_pickle=False) as arrays:
            probable, known = arrays["Y_true"], arrays["Y_mask"]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path}: cannot be read as OpenMIC-2018's arrays ({error})") from None
    shape = (len(keys), len(OPENMIC))
    if not len(set(keys)) == len(keys) or probable.shape != shape or known.shape != shape:
        raise ConfigError(
            f"{path}: {len(set(keys))} names for arrays of {probable.shape} and {known.shape}; they need one "
            f"row for each name and {len(OPENMIC)} columns"
        )
    return {
        key: {OPENMIC[column]: float(row[column]) for column in np.flatnonzero(mask)}
        for key, row, mask in zip(keys, probable, known, strict=True)
    }


def _texts(file: zipfile.ZipFile, name: str) -> list[str]:
    """The texts of an array of texts, be it pickled; nothing is executed."""
    with file.open(name) as stream:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(stream)
        rest = stream.read()
    if dtype.kind in "SU":
        array = np.frombuffer(rest, dtype)
        return [text.decode() if isinstance(text, bytes) else str(text) for text in array.tolist()]
    texts = list(_texts_of_list(rest))
    if len(texts) != int(np.prod(shape)):
        raise ValueError(f"{len(texts)} names of clips in {name}, which should hold {shape}")
    return texts


def _texts_of_list(pickled: bytes) -> Iterator[str]:
    """The texts of the one list in a pickled array, without running it; anything else in it is an error."""
    begun = False
    for code, argument, _ in pickletools.genops(pickled):
        if begun and isinstance(argument, str) and code.name.endswith(TEXTS):
            yield argument
        elif begun and code.name not in BETWEEN:
            raise ValueError(f"something else than a text ({code.name}) among the names of clips")
        begun = begun or code.name in ("EMPTY_LIST", "LIST")
