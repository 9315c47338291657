"""What the pickle inside a stranger's weights may say, checked before anything interprets it.

torch's own restricted reader is the second lock.  It runs no foreign code, but it may be told to build
objects of any size or depth.  Here the instructions are followed without building anything, and only those
that `torch.save` writes for tensors, dictionaries, lists, numbers and text are let through.
"""

import pickletools
from dataclasses import dataclass

MAX_BYTES = 16 * 1024**2
MAX_INSTRUCTIONS = 400_000
MAX_DEPTH = 64
MAX_BUILDS = 16
MAX_SPELLED = 64 * 1024**2

CALLS = {
    "collections OrderedDict",
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
}
_STORAGES = "BFloat16 Bool Byte Char Double Float Half Int Long Short"
GLOBALS = CALLS | {f"torch {name}Storage" for name in _STORAGES.split()}

TABLE = "result of collections OrderedDict"
TABLES = {"EMPTY_DICT", TABLE}
_NUMBERS = {"NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT"}
_TEXTS = {"BINUNICODE", "SHORT_BINSTRING"}
CONTAINERS = {"EMPTY_DICT", "EMPTY_LIST"}
VALUES = _NUMBERS | _TEXTS | CONTAINERS | {"EMPTY_TUPLE"}
KEYS = _TEXTS | {"BININT", "BININT1", "BININT2"}
TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class UnsafePickleError(ValueError):
    """A pickle that says more than weights need; the sentence says what."""


@dataclass(slots=True)
class _Item:
    """All that is known of an object that was not built.

    Attributes:
        kind: where it came from.
        depth: how deep it nests.
        spelled: about how many characters it would take to write it out, each use of a part anew.
        closed: whether it was used a second time; it may then grow no more, because its other users would not
            know of what came later.
    """

    kind: str
    depth: int = 0
    spelled: int = 1
    closed: bool = False


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


ATOMS = {name: _Item(name) for name in VALUES}


class _Scanner:
    """The stack, the marks and the memo of a pickle machine that holds sizes instead of objects."""

    def __init__(self) -> None:
        self._stack: list[_Item] = []
        self._marks: list[list[_Item]] = []
        self._memo: dict[object, _Item] = {}
        self._builds = 0

    def follow(self, name: str, argument: object) -> None:
        """Do to the sizes what one instruction does to the objects."""
        if name in VALUES:
            new = name in CONTAINERS or isinstance(argument, str)
            self._stack.append(_Item(name, spelled=len(str(argument))) if new else ATOMS[name])
        elif name in TUPLES:
            self._push([self._stack.pop() for _ in range(TUPLES[name])], "tuple")
        elif name == "TUPLE":
            self._push(self._pop_mark(), "tuple")
        elif name in ("BINGET", "LONG_BINGET"):
            item = self._memo[argument]
            item.closed = True
            self._stack.append(item)
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
            self._stack.append(_Item(str(argument)))
        elif name == "APPENDS":
            self._fill(self._pop_mark(), {"EMPTY_LIST"})
        elif name == "APPEND":
            self._fill([self._stack.pop()], {"EMPTY_LIST"})
        elif name == "SETITEMS":
            self._set_items(self._pop_mark())
        elif name == "SETITEM":
            value, key = self._stack.pop(), self._stack.pop()
            self._set_items([key, value])
        elif name == "BINPERSID":
            self._push([self._stack.pop()], "storage")
        elif name == "REDUCE":
            self._call()
        elif name == "BUILD":
            self._build()
        else:
            raise UnsafePickleError(f"its pickle uses the instruction {name}, which weights do not need")

    def _push(self, items: list[_Item], kind: str) -> None:
        self._stack.append(self._grown(_Item(kind), items))

    def _grown(self, item: _Item, parts: list[_Item]) -> _Item:
        """An item that holds some more parts."""
        item.depth = max([item.depth, *(1 + part.depth for part in parts)])
        item.spelled += sum(part.spelled for part in parts)
        if item.depth > MAX_DEPTH:  # hashing a tuple nested a hundred thousand times overflows the stack in C
            raise UnsafePickleError(f"its pickle nests deeper than {MAX_DEPTH}")
        if item.spelled > MAX_SPELLED:  # sixty pairs, each of the one before: 10^18 items to hash or to print
            raise UnsafePickleError("its pickle would be endless if it were written out")
        return item

    def _fill(self, items: list[_Item], kinds: set[str]) -> None:
        container = self._stack[-1]
        if container.kind not in kinds or container.closed:
            raise UnsafePickleError("it puts something into what is no new list or dictionary")
        self._grown(container, items)

    def _set_items(self, items: list[_Item]) -> None:
        if any(
            key.kind not in KEYS for key in items[::2]
        ):  # others can be made to collide, or to hash forever
            raise UnsafePickleError("it has a dictionary whose keys are neither texts nor small numbers")
        self._fill(items, TABLES)

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
        if target.kind != TABLE or state.kind not in TABLES or self._builds > MAX_BUILDS:
            raise UnsafePickleError("it sets attributes of something other than a state dict")
        self._fill([state], TABLES)
