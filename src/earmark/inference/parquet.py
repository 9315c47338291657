"""Parquet files, here or elsewhere."""

from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from earmark.config import ConfigError
from earmark.storage import opened_file


def pyarrow() -> tuple[Any, Any]:
    """The modules pyarrow and pyarrow.parquet.

    Raises:
        ConfigError: they are not installed.
    """
    try:
        return import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise ConfigError('parquet needs pyarrow; install it with `pip install "earmark[data]"`') from None


@contextmanager
def opened_parquet(path: str, columns: tuple[str, ...] | None = None) -> Generator[Any, None, None]:
    """Open a file to be read bit by bit.

    Args:
        path: where it is; a path or an address.
        columns: those that it must have.

    Raises:
        OSError: it cannot be opened.
        ValueError: it is no Parquet file, or has other columns.
        ConfigError: pyarrow is not installed.
    """
    _, parquet = pyarrow()
    with opened_file(path) as file, parquet.ParquetFile(file) as opened:
        if columns is not None and tuple(opened.schema_arrow.names) != columns:
            raise ValueError("its columns are others")
        yield opened
