"""Files from the network to the disk: resumed, checked, unpacked safely, and there whole or not at all."""

from earmark.fetching.bar import progress_bar
from earmark.fetching.download import Patience, Progress, fetch
from earmark.fetching.fetched import FetchError, Remote, alone, recorded_digest
from earmark.fetching.unpacking import unpack

__all__ = [
    "FetchError",
    "Patience",
    "Progress",
    "Remote",
    "alone",
    "fetch",
    "progress_bar",
    "recorded_digest",
    "unpack",
]
