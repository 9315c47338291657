"""earmark tags, embeds and learns sound.

The front door; everything is resolved on first use, so that `import earmark` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earmark.audio import AudioError as AudioError
    from earmark.config import ConfigError as ConfigError
    from earmark.inference.embedding import embed as embed
    from earmark.inference.tagging import tag as tag
    from earmark.models.checkpoint import CheckpointError as CheckpointError
    from earmark.models.zoo import load as load

__version__ = "0.1.0"

_ROOMS = {
    "AudioError": "earmark.audio",
    "CheckpointError": "earmark.models.checkpoint",
    "ConfigError": "earmark.config",
    "embed": "earmark.inference.embedding",
    "load": "earmark.models.zoo",
    "tag": "earmark.inference.tagging",
}

__all__ = ["AudioError", "CheckpointError", "ConfigError", "__version__", "embed", "load", "tag"]


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module 'earmark' has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)
