"""What the pickle inside a stranger's weights may say, checked before anything interprets it.

torch's own restricted reader is the second lock.  It runs no foreign code, but it may be told to build
objects of any size or depth.  Here the instructions are followed without building anything, and only those
that `torch.save` writes for tensors, dictionaries, lists, numbers and text are let through.
"""

import pickletools
from typing import NamedTuple

MAX_BYTES = 16 * 1024**2
MAX_INSTRUCTIONS = 400_000
MAX_DEPTH = 64
MAX_BUILDS = 16

CALLS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
}
_STORAGES = "BFloat16 Bool Byte Char Double Float Half Int Long Short"
GLOBALS = CALLS | {f"torch {name}Storage" for name in _STORAGES.split()}

_NUMBERS = {"NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
_TEXTS = {"BINUNICODE", "SHORT_BINSTRING"}
VALUES = _NUMBERS | _TEXTS | {"EMPTY_DICT", "EMPTY_LIST", "EMPTY_TUPLE", "EMPTY_SET"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class UnsafePickleError(ValueError):
    """A pickle that says more than weights need; the sentence says what."""


class _Item(NamedTuple):
    """All that is known of an object that was not built: how deep it nests, and where it came from."""

    depth: int
    kind: str


def scan(pickle: bytes) -> None:
    """Follow a pickle's instructions without carrying them out.

    Args:
        pickle: the `data.pkl` of a file of `torch.save`.

    Raises:
        UnsafePickleError: it names a function or class that is no part of a tensor, uses an instruction that
            `torch.save` does not write, nests too deep, is too long, or is damaged.

    Example:
        >>> scan(b"\\x80\\x02}.")
        >>> scan(b"\\x80\\x02cposix\\nsystem\\n.")
        Traceback (most recent call last):
        earmark.models.pickle_scan.UnsafePickleError: it calls for 'posix system', ...
    """
    if len(pickle) > MAX_BYTES:
        raise UnsafePickleError(f"its pickle has {len(pickle)} bytes; {MAX_BYTES} are allowed")
    scanner = _Scanner()
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(pickle)):
            if count >= MAX_INSTRUCTIONS:
                raise UnsafePickleError(f"its pickle has more than {MAX_INSTRUCTIONS} instructions")
            scanner.follow(opcode.name, argument)
    except UnsafePickleError:
        raise
    except Exception as error:  # genops and the empty stack raise whatever they like on damaged bytes
        raise UnsafePickleError(f"its pickle is damaged ({error})") from None


class _Scanner:
    """The stack, the marks and the memo of a pickle machine that holds depths instead of objects."""

    def __init__(self) -> None:
        self._stack: list[_Item] = []
        self._marks: list[list[_Item]] = []
        self._memo: dict[object, _Item] = {}
        self._builds = 0

    def follow(self, name: str, argument: object) -> None:
        """Do to the depths what one instruction does to the objects."""
        if name in VALUES:
            self._stack.append(_Item(0, name))
        elif name in TUPLES:
            self._push([self._stack.pop() for _ in range(TUPLES[name])], "tuple")
        elif name == "TUPLE":
            self._push(self._pop_mark(), "tuple")
        elif name in ("BINGET", "LONG_BINGET"):
            self._stack.append(self._memo[argument])
        elif name in ("BINPUT", "LONG_BINPUT"):
            self._memo[argument] = self._stack[-1]
        elif name == "MARK":
            self._marks.append(self._stack)
            self._stack = []
        elif name == "PROTO":
            if argument != 2:
                raise UnsafePickleError(f"its pickle has protocol {argument}; torch.save writes protocol 2")
        elif name != "STOP":
            self._follow_rare(name, argument)

    def _follow_rare(self, name: str, argument: object) -> None:
        if name == "GLOBAL":
            if argument not in GLOBALS:
                raise UnsafePickleError(f"it calls for {argument!r:.100}, which is no part of a tensor")
            self._stack.append(_Item(0, str(argument)))
        elif name in ("APPENDS", "SETITEMS"):
            self._fill(self._pop_mark())
        elif name == "APPEND":
            self._fill([self._stack.pop()])
        elif name == "SETITEM":
            self._fill([self._stack.pop(), self._stack.pop()])
        elif name == "BINPERSID":
            self._push([self._stack.pop()], "storage")
        elif name == "REDUCE":
            self._call()
        elif name == "BUILD":
            self._build()
        else:
            raise UnsafePickleError(f"its pickle uses the instruction {name}, which weights do not need")

    def _push(self, items: list[_Item], kind: str) -> None:
        depth = 1 + max((item.depth for item in items), default=-1)
        if depth > MAX_DEPTH:  # hashing a tuple nested a hundred thousand times overflows the stack in C
            raise UnsafePickleError(f"its pickle nests deeper than {MAX_DEPTH}")
        self._stack.append(_Item(depth, kind))

    def _fill(self, items: list[_Item]) -> None:
        container = self._stack.pop()
        self._push(items, container.kind)
        if container.depth > self._stack[-1].depth:
            self._stack[-1] = container

    def _pop_mark(self) -> list[_Item]:
        items, self._stack = self._stack, self._marks.pop()
        return items

    def _call(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if function.kind not in CALLS:
            raise UnsafePickleError("it calls something that is no function of tensors")
        if function.kind == "collections OrderedDict" and arguments.kind != "EMPTY_TUPLE":
            raise UnsafePickleError("it copies dictionaries, which could fill the memory")
        self._push([arguments], f"result of {function.kind}")

    def _build(self) -> None:
        """A state dict keeps version numbers as an attribute of the dictionary; nothing else needs this."""
        state, target = self._stack.pop(), self._stack[-1]
        self._builds += 1
        if target.kind != "result of collections OrderedDict" or self._builds > MAX_BUILDS:
            raise UnsafePickleError("it sets attributes of something other than a state dict")
        self._fill([state])
