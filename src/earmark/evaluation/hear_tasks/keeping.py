"""What was computed once, by a digest of all that it depends on; a killed evaluation goes on from there."""

import hashlib
import io
import json
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, cast

import numpy as np

from earmark.files import commit


class Kept(NamedTuple):
    """A folder of results under their digests.

    Attributes:
        folder: where; it is made when the first result comes.
    """

    folder: Path

    def numbers(self, key: str) -> dict[str, Any] | None:
        """Plain values that were kept; None if there are none, or the file is damaged."""
        with suppress(OSError, ValueError):
            tree = json.loads(self._path(key, "json").read_text(encoding="utf-8"))
            return cast(dict[str, Any], tree) if isinstance(tree, dict) else None
        return None

    def keep_numbers(self, key: str, values: dict[str, Any]) -> None:
        """Keep plain values.

        Raises:
            OSError: they cannot be written.
        """
        self._write(self._path(key, "json"), json.dumps(values, ensure_ascii=False).encode())

    def arrays(self, key: str) -> "dict[str, Any] | None":
        """Arrays that were kept; None if there are none, or the file is damaged."""
        with suppress(OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            path = self._path(key, "npz")
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        return None

    def keep_arrays(self, key: str, arrays: dict[str, Any]) -> None:
        """Keep arrays.

        Raises:
            OSError: they cannot be written.
        """
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        self._write(self._path(key, "npz"), buffer.getvalue())

    def _path(self, key: str, suffix: str) -> Path:
        return self.folder / key[:2] / f"{key}.{suffix}"

    def _write(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with commit(path) as file:
            file.write(data)


def digest_of(*parts: Any) -> str:
    """A digest of plain values.

    Example:
        >>> digest_of("a", 1) == digest_of("a", 1), digest_of("a", 1) == digest_of("a1")
        (True, False)
    """
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
