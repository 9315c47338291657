"""YAML of strangers: plain tables, lists and scalars, and nothing that grows or runs."""

from typing import Any

import yaml

MAX_LENGTH, MAX_NESTING = 65_536, 16


def read_plain_yaml(text: str) -> Any:
    """Read YAML of plain tables, lists and scalars; every scalar comes as text.

    Raises:
        ValueError: it is longer or nests deeper than a configuration does, or has aliases or tags: two ways
            to make a small text large or its reader do something.
        yaml.YAMLError: it is no YAML.

    Example:
        >>> read_plain_yaml("model: {n_heads: 16}")
        {'model': {'n_heads': '16'}}
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"it has {len(text)} characters; {MAX_LENGTH} are allowed")
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if (
            isinstance(event, yaml.AliasEvent)
            or getattr(event, "anchor", None)
            or getattr(event, "tag", None)
        ):
            raise ValueError("it has anchors, aliases or tags; only plain values are allowed")
        if depth > MAX_NESTING:
            raise ValueError(f"it nests deeper than {MAX_NESTING}")
    return yaml.load(text, Loader=yaml.BaseLoader)
