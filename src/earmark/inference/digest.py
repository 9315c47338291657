"""Which weights a model's name stands for today."""

import hashlib
from contextlib import suppress
from pathlib import Path

from earmark.config import ConfigError


def weights_digest(model: str) -> str | None:
    """The first 16 digits of the SHA-256 of a model's file, so that nobody takes others for it unawares.

    Args:
        model: a name, a file or a run folder; of several with commas between, the digests with spaces.

    Returns:
        None where there is no such file.
    """
    path = (
        Path(__file__).parents[1] / "weights" / "builtin.safetensors" if model == "builtin" else Path(model)
    )
    if not path.is_file():  # a published model, which is fetched now, or an imported one, or several
        from earmark.models.zoo import members_of, resolve  # late: it imports torch

        if members := members_of(model):
            return " ".join(weights_digest(str(member)) or "?" for member in members)
        with suppress(ConfigError):
            path = resolve(model)
    with suppress(OSError), path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    return None  # no such model, which is said when it is loaded
