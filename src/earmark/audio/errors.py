"""What a caller catches: a file and a reason, in one line."""

import os

from earmark.storage import address


class AudioError(ValueError):
    """Sound that cannot be had; names the source and the reason.

    Attributes:
        path: the source, always printable (see `displayable`).
        reason: a sentence without the path.

    Example:
        >>> str(AudioError("dog.wav", "the file is empty"))
        'dog.wav: the file is empty'
    """

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(path, reason)
        self.path = displayable(path)
        self.reason = displayable(reason)

    def __str__(self) -> str:
        return one_line(f"{self.path}: {self.reason}")


class AudioWarning(UserWarning):
    """A damaged file of which the readable part was given, as asked by `on_truncated="keep"`."""


def displayable(path: str | bytes | os.PathLike[str]) -> str:
    """Any path or address as text that can be encoded in UTF-8.

    Args:
        path: a path as the system or the user gave it; bytes that are no UTF-8 become backslash escapes,
            newlines stay as they are.

    Example:
        >>> print(displayable(b"caf\\xe9.wav"))
        caf\\xe9.wav
    """
    name = path if isinstance(path, bytes) else address(path)
    if isinstance(name, str):
        try:
            name = name.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            name = name.encode("utf-8", "backslashreplace")
    return name.decode("utf-8", "backslashreplace")


def one_line(text: str) -> str:
    """Text with control characters escaped, so that a message stays on its line and cannot drive a terminal.

    Example:
        >>> print(one_line("a" + chr(10) + "b"))
        a\\nb
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
