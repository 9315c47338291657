"""Unions of descriptions that were once a single class: a tree without a kind is of the first one."""

from typing import Any, cast

from pydantic import BeforeValidator


def otherwise(kind: str) -> BeforeValidator:
    """Read a tree that names no kind as one of this kind, as recipes of earlier versions are written.

    Args:
        kind: name of the class that used to be the only one.

    Example:
        >>> from typing import Annotated, Literal
        >>> from pydantic import Field
        >>> from earmark.config import Frozen
        >>> class Red(Frozen):
        ...     kind: Literal["Red"] = "Red"
        >>> class Blue(Frozen):
        ...     kind: Literal["Blue"] = "Blue"
        >>> class Wall(Frozen):
        ...     color: Annotated[Red | Blue, Field(discriminator="kind"), otherwise("Red")] = Blue()
        >>> Wall.from_dict({"color": {}}).color
        Red(kind='Red')
    """

    def named(tree: Any) -> Any:
        if isinstance(tree, dict) and "kind" not in tree:
            return {"kind": kind, **cast(dict[str, Any], tree)}
        return tree

    return BeforeValidator(named)
