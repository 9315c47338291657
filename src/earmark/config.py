"""Frozen, validated descriptions: one notation for Python, the command line and the checkpoint file."""

import difflib
import json
from collections.abc import Iterable
from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError

Description = TypeVar("Description", bound="Frozen")


class ConfigError(ValueError):
    """A description that cannot be built; the sentence says what to change."""


class Frozen(BaseModel):
    """A value that describes something: immutable, compared by content, strict about names.

    Example:
        >>> class Window(Frozen):
        ...     seconds: float = 10.0
        >>> Window(seconds=2.5).to_dict()
        {'seconds': 2.5}
        >>> Window(second=2.5)
        Traceback (most recent call last):
        earmark.config.ConfigError: Window has no field 'second'; did you mean 'seconds'?
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def __init__(self, **fields: Any) -> None:
        try:
            super().__init__(**fields)
        except ValidationError as error:
            raise ConfigError(_sentence(type(self), error)) from None

    @classmethod
    def from_dict(cls: type[Description], tree: object) -> Description:
        """Build from plain JSON values, strictly.

        Raises:
            ConfigError: an unknown name, a missing field or an impossible value.
        """
        try:
            return cls.model_validate(tree)
        except ValidationError as error:
            raise ConfigError(_sentence(cls, error)) from None

    @classmethod
    def from_json(cls: type[Description], text: str) -> Description:
        """Build from JSON text; see `from_dict`."""
        try:
            tree = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{cls.__name__}: not JSON ({error})") from None
        return cls.from_dict(tree)

    def to_dict(self) -> dict[str, Any]:
        """The same tree as plain JSON values; `from_dict` reads it back."""
        return self.model_dump(mode="json")

    def to_json(self) -> str:
        """The same tree as one line of JSON."""
        return json.dumps(self.to_dict(), ensure_ascii=False)

    def replace(self: Description, **fields: Any) -> Description:
        """A copy with some fields changed, validated again."""
        return type(self)(**({name: getattr(self, name) for name in type(self).model_fields} | fields))


def override(description: Description, assignments: Iterable[str]) -> Description:
    """Apply `path=value` assignments, as `--set` gives them.

    Args:
        description: what to change; it stays as it is, a changed copy is returned.
        assignments: a dotted path of field names, `=`, and a JSON value; text that is not JSON is a string.

    Raises:
        ConfigError: no such field, or a value that does not fit; the nearest name is suggested.

    Example:
        >>> class Inner(Frozen):
        ...     depth: int = 12
        >>> class Outer(Frozen):
        ...     inner: Inner = Inner()
        >>> override(Outer(), ["inner.depth=7"]).inner.depth
        7
    """
    tree = description.to_dict()
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"{assignment!r} is no assignment; write path=value, such as encoder.depth=7")
        *parents, leaf = path.strip().split(".")
        node = tree
        for name in parents:
            node = _child(node, name, path)
        _child(node, leaf, path)
        node[leaf] = _value(text)
    return type(description).from_dict(tree)


def assigned(assignment: str) -> tuple[str, Any]:
    """The name and the value of a `name=value` for something that is no description.

    Raises:
        ConfigError: there is no name or no `=`.

    Example:
        >>> assigned("layer=[1, 2]"), assigned("precision=bf16")
        (('layer', [1, 2]), ('precision', 'bf16'))
    """
    name, equals, text = assignment.partition("=")
    if not equals or not name.strip():
        raise ConfigError(f"{assignment!r} is no assignment; write name=value, such as layer=2")
    return name.strip(), _value(text)


def did_you_mean(name: str, known: Iterable[str], otherwise: str, cutoff: float = 0.6) -> str:
    """The end of an error about an unknown name: the nearest known one, or `otherwise`.

    Example:
        >>> did_you_mean("buildin", ["builtin"], "there is one")
        "did you mean 'builtin'?"
    """
    near = difflib.get_close_matches(name, known, n=1, cutoff=cutoff)
    return f"did you mean {near[0]!r}?" if near else otherwise


def _child(node: object, name: str, path: str) -> Any:
    if not isinstance(node, dict):
        raise ConfigError(f"{path!r}: there is no field {name!r} inside a plain value")
    fields = cast(dict[str, Any], node)
    if name not in fields:
        raise ConfigError(f"{path!r}: no field {name!r}{_suggestion(name, fields)}")
    return fields[name]


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _suggestion(name: str, known: Iterable[str]) -> str:
    names = list(known)
    return "; " + did_you_mean(name, names, f"the fields are {', '.join(names)}", cutoff=0.5)


def shortened(text: str) -> str:
    """At most sixty letters of a text.

    Example:
        >>> shortened("a" * 100)[-10:]
        'aaaaaaa...'
    """
    return text if len(text) <= 60 else text[:57] + "..."


def _sentence(cls: type[BaseModel], error: ValidationError) -> str:
    """Turn pydantic's report into one sentence per mistake."""
    sentences: list[str] = []
    for entry in error.errors():
        place = ".".join(str(part) for part in entry["loc"])
        name = str(entry["loc"][-1]) if entry["loc"] else ""
        if entry["type"] == "extra_forbidden":
            known = cls.model_fields if len(entry["loc"]) == 1 else ()
            hint = _suggestion(name, known) if known else ""
            sentences.append(f"{cls.__name__} has no field {place!r}{hint}")
        elif entry["type"] == "missing":
            sentences.append(f"{cls.__name__} needs the field {place!r}")
        else:
            message = entry["msg"].removeprefix("Value error, ")
            if entry["type"] != "value_error" and isinstance(entry["input"], str | int | float | None):
                message = message.replace("Input should", "must", 1)
                message += f", not {shortened(repr(entry['input']))}"
            sentences.append(f"{place or cls.__name__}: {message}" if place else message)
    return "; ".join(sentences)
