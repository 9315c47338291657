"""What there is to load by name, and what is known of it."""

from hashlib import sha256
from pathlib import Path
from typing import Any

from earmark.models.catalog import BY_NAME, ENSEMBLES, PUBLISHED, Published
from earmark.models.catalog.ensembles import Combination
from earmark.models.checkpoint import Header, read_header
from earmark.models.conversion import is_converted
from earmark.models.tensor_file import CheckpointError
from earmark.models.zoo import cache_folder, imported_names, imported_path, resolve

BUILTIN, ENSEMBLE, IMPORTED = "Built in", "Ensembles", "Imported"


def list_models() -> list[dict[str, Any]]:
    """Every model that `earmark.load` knows by name: the built-in one, the published ones, the imported ones.

    Returns:
        For each: `name`; `family`, under which it is listed; `url`, `size` in bytes and `sha256` of the file
        that it is made of, None where they are not known; `license`; `score` and `metric`, as its authors
        state them; `classes`; `clip_seconds`, the length of its input; `settings`; and whether it is here
        already (`cached`) and in which file (`path`).  Ensembles have their `members`, too.
    """
    folder = cache_folder()
    builtin = resolve("builtin")
    rows = [_of_file("builtin", BUILTIN, builtin) | {"sha256": sha256(builtin.read_bytes()).hexdigest()}]
    rows += [_of_entry(entry, folder) for entry in PUBLISHED]
    rows += [_of_ensemble(entry, folder) for entry in ENSEMBLES]
    rows += [_of_file(name, IMPORTED, path) for name in imported_names() if (path := imported_path(name))]
    return rows


def _of_entry(entry: Published, folder: Path) -> dict[str, Any]:
    cached = is_converted(entry, folder)
    path = str(folder / f"{entry.name}.safetensors") if cached else None
    return {**entry.to_dict(), "cached": cached, "path": path}


def _of_ensemble(entry: Combination, folder: Path) -> dict[str, Any]:
    """An ensemble as far as its members agree; it is here when they all are."""
    members = [_of_entry(BY_NAME[name], folder) for name in entry.members]
    shared = {key: value for key, value in members[0].items() if all(m[key] == value for m in members)}
    row: dict[str, Any] = dict.fromkeys(members[0]) | shared
    cached = all(member["cached"] for member in members)
    told = {"name": entry.name, "family": ENSEMBLE, "score": entry.score, "members": list(entry.members)}
    return row | told | {"settings": [], "cached": cached, "path": None}


def _of_file(name: str, family: str, path: Path) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(Published.model_fields)
    row |= {"name": name, "family": family, "cached": True, "path": str(path)}
    try:
        return row | _told(read_header(path), path)
    except (CheckpointError, OSError) as error:
        return row | {"error": str(error)}


def _told(header: Header, path: Path) -> dict[str, Any]:
    return {
        "size": path.stat().st_size,
        "license": header.provenance.get("license"),
        "classes": len(header.config.labels) if header.config.head is not None else 0,
        "clip_seconds": header.config.clip_seconds,
        "settings": header.provenance.get("settings", []),
        "sha256": header.provenance.get("source_sha256"),
    }
