"""A label set: what a model calls things."""

import difflib

from pydantic import model_validator

from earmark.config import ConfigError, Frozen


class LabelSet(Frozen):
    """The names of a model's classes, in the order of its logits.

    Attributes:
        names: what people read, such as AudioSet's display names.
        ids: machine ids, such as AudioSet's `/m/0bt9lr`; empty, or one for each name.
        exclusive: exactly one label holds for a clip.  This one bit picks softmax or sigmoid,
            the loss and the headline metric.

    Example:
        >>> LabelSet(names=("Dog", "Rain")).index("Rain")
        1
    """

    names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    exclusive: bool = False

    @model_validator(mode="after")
    def _check(self) -> "LabelSet":
        if len(set(self.names)) != len(self.names):
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            raise ValueError(f"the label {twice[0]!r} stands twice; every label needs a name of its own")
        if self.ids and len(self.ids) != len(self.names):
            raise ValueError(f"{len(self.ids)} ids for {len(self.names)} names; give one for each, or none")
        return self

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """The position of a name among the logits.

        Raises:
            ConfigError: no such label; the nearest one is suggested.
        """
        if name in self.names:
            return self.names.index(name)
        near = difflib.get_close_matches(name, self.names, n=1)
        hint = (
            f"; did you mean {near[0]!r}?" if near else f"; there are {len(self)} labels, none of this name"
        )
        raise ConfigError(f"no label {name!r}{hint}")
