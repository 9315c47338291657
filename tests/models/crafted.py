"""Files that no honest program writes, put together by hand: pickles, zip archives, safetensors."""

import io
import json
import marshal
import os
import pickle
import resource
import struct
import subprocess
import zipfile
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

PROTO, STOP = b"\x80\x02", b"."


def archive(
    data: bytes, extra: dict[str, bytes] | None = None, method: int = zipfile.ZIP_STORED, prefix: str = "x/"
) -> bytes:
    """A zip with the entries that torch writes, around any pickle."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr(f"{prefix}data.pkl", data)
        file.writestr(f"{prefix}byteorder", b"little")
        for name, content in (extra or {"data/0": bytes(16)}).items():
            file.writestr(prefix + name, content)
        file.writestr(f"{prefix}version", b"3\n")
    return buffer.getvalue()


def text(value: str) -> bytes:
    encoded = value.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def tensor(
    size: bytes, stride: bytes, numel: bytes = b"K\x04", key: str = "0", hooks: bytes | None = None
) -> bytes:
    """The instructions that build a float32 tensor over the storage `key`."""
    storage = b"(" + text("storage") + b"ctorch\nFloatStorage\n" + text(key) + text("cpu") + numel + b"tQ"
    rest = b"K\x00" + size + stride + b"\x89" + (hooks or b"ccollections\nOrderedDict\n)R")
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + rest + b"tR"


FOUR, ONE = b"K\x04\x85", b"K\x01\x85"
PLAIN = tensor(FOUR, ONE)
"""Four numbers."""


def state(*items: bytes) -> bytes:
    """A pickle of a dictionary of names and values."""
    return PROTO + b"}(" + b"".join(items) + b"u" + STOP


def safetensors(header: Any, data: bytes = b"") -> bytes:
    """A safetensors file with any header: a tree, or its bytes."""
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + data


class Call:
    """What pickles as a call."""

    def __init__(self, function: Callable[..., object], *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple[object, ...]:
        return self.call


def named(module: str, name: str, *arguments: bytes) -> bytes:
    """A pickle that calls something by its name."""
    return PROTO + f"c{module}\n{name}\n(".encode() + b"".join(arguments) + b"tR" + STOP


def exploits(marker: Path) -> dict[str, bytes]:
    """Pickles that would create the file `marker`, or would call what they should not."""
    shell, python = f"touch {marker}", f"open({str(marker)!r}, 'w').close()"
    system = pickle.dumps(Call(os.system, shell), protocol=2)
    module = f"__import__('os').system({shell!r})"
    code = marshal.dumps(compile(python, "x", "exec"))
    found = {
        f"os.system, protocol {protocol}": pickle.dumps(Call(os.system, shell), protocol=protocol)
        for protocol in range(6)
    }
    found |= {
        "eval": pickle.dumps(Call(eval, python), protocol=2),
        "exec": pickle.dumps(Call(exec, python), protocol=4),
        "a process": pickle.dumps(Call(subprocess.check_output, ["touch", str(marker)]), protocol=2),
        "a call inside a call": pickle.dumps(Call(print, Call(os.system, shell)), protocol=3),
        "a call inside a list": pickle.dumps({"a": [1, (2, Call(os.system, shell))]}, protocol=2),
        "a call as a key": pickle.dumps({Call(os.system, shell): 1}, protocol=2),
        "exec by a short global": PROTO + b"c__builtin__\nexec\n" + text(python) + b"\x85R" + STOP,
        "a function of marshalled code": _function(code),
        "an attribute of an attribute": _walk(python),
        "an instance": PROTO + b"(" + text(shell) + b"iposix\nsystem\n" + STOP,
        "an object": PROTO + b"(cposix\nsystem\n" + text(shell) + b"o" + STOP,
        "a new object": PROTO + b"cos\n_wrap_close\n)\x81" + STOP,
        "a state setter": PROTO
        + b"c__main__\nX\n)\x81}"
        + text("__setstate__")
        + b"cposix\nsystem\nsb"
        + text(shell)
        + b"b"
        + STOP,
        "hidden among weights": state(
            text("a"), PLAIN, text("b"), b"cposix\nsystem\n" + text(shell) + b"\x85R"
        ),
        "hidden in the hooks of a tensor": state(
            text("a"), tensor(FOUR, ONE, hooks=b"cposix\nsystem\n" + text(shell) + b"\x85R")
        ),
        "hidden in the size of a tensor": state(
            text("a"), tensor(b"cposix\nsystem\n" + text(shell) + b"\x85R\x85", ONE)
        ),
        "hidden behind a memo": PROTO + b"cposix\nsystem\nq\x010h\x01" + text(shell) + b"\x85R" + STOP,
        "hidden behind an end": PROTO + b"N" + STOP + system,
        "before a damaged end": system[:-1] + b"\xff",
        "a pickle inside a text": state(text("a"), text(system.decode("latin-1"))),
        "a pickle inside a pickle": pickle.dumps(Call(pickle.loads, system), protocol=2),
        "a global of two texts": _stack_global("posix", "system", shell),
        "a global of texts that are split": PROTO
        + b"X\x02\x00\x00\x00po\x94X\x03\x00\x00\x00six\x94\x93"
        + STOP,
        "an extension of one byte": PROTO + b"\x82\x01" + STOP,
        "an extension of two bytes": PROTO + b"\x83\x01\x00" + STOP,
        "an extension of four bytes": PROTO + b"\x84\x01\x00\x00\x00" + STOP,
        "a persistent command": PROTO + text(shell) + b"Q" + STOP,
        "a persistent line": PROTO + b"P" + shell.encode() + b"\n" + STOP,
        "a module behind a dot": named("torch._utils.os", "system", text(shell)),
        "a name behind a dot": PROTO + b"ccollections\nOrderedDict.__init__\n" + STOP,
        "the globals of a function": PROTO + b"ctorch._utils\n_rebuild_tensor_v2.__globals__\n" + STOP,
        "a name with a blank": PROTO + b"ccollections\nOrderedDict \n)R" + STOP,
        "a module with a blank": PROTO + b"c collections\nOrderedDict\n)R" + STOP,
        "a name in two lines": PROTO + b"ccollections\r\nOrderedDict\r\n)R" + STOP,
        "two pickles in a row": state(text("a"), PLAIN) + system,
        "a run of a module": named("runpy", "_run_code", text(python), b"}"),
        "a timer": named("timeit", "timeit", text(module), text("pass"), b"N", b"K\x01"),
    }
    for module, *names in map(str.split, HARMFUL.strip().splitlines()):
        found |= {f"{module} {name} by name": named(module, name, text(shell)) for name in names}
    return found


HARMFUL = """
builtins eval exec compile getattr setattr open __import__ globals bytearray list
os popen execv spawnl remove putenv
nt system
commands getoutput
pty spawn
shutil rmtree
socket socket
importlib import_module
pkgutil resolve_name
pydoc pipepager
operator attrgetter methodcaller
functools partial reduce
copyreg _reconstructor add_extension
copy_reg _reconstructor
types FunctionType CodeType
marshal loads
ctypes CDLL
bdb Bdb
numpy._core.multiarray _reconstruct scalar
numpy.core.multiarray _reconstruct scalar
numpy load dtype ndarray
numpy.testing._private.utils runstring
joblib load
torch load hub Tensor FloatTensor device Size save _C._load
torch.serialization load
torch.storage _load_from_bytes UntypedStorage
torch.jit load
torch.hub load
torch.utils.collect_env run
torch._utils _rebuild_parameter_with_state _rebuild_sparse_tensor _rebuild_qtensor _rebuild_tensor
torch._utils _rebuild_meta_tensor_no_storage _rebuild_wrapper_subclass _rebuild_tensor_v3 _import_dotted_name
torch._tensor _rebuild_from_type_v2
torch.nn.parameter Parameter
torch.nn.modules.linear Linear
torch.fx.graph_module reduce_graph_module
torch.distributed.rpc.internal _run_function
torch.package PackageImporter
torch._inductor.codecache CppCodeCache.load
collections defaultdict Counter OrderedDict.fromkeys
_codecs encode
_io FileIO
earmark load
argparse Namespace
pathlib PosixPath
omegaconf DictConfig
__main__ Model
"""
"""Modules, and names in them that a pickle could call; none of them is part of a tensor."""


def _function(code: bytes) -> bytes:
    loads = b"cmarshal\nloads\n(" + b"B" + struct.pack("<I", len(code)) + code + b"tR"
    return b"\x80\x03ctypes\nFunctionType\n(" + loads + b"}tR)R" + STOP


def _walk(python: str) -> bytes:
    """getattr(__import__("builtins"), "exec")(python)."""
    got = (
        b"c__builtin__\ngetattr\n(c__builtin__\n__import__\n("
        + text("builtins")
        + b"tR"
        + text("exec")
        + b"tR"
    )
    return PROTO + got + text(python) + b"\x85R" + STOP


def _stack_global(module: str, name: str, argument: str) -> bytes:
    texts = [b"\x8c" + bytes([len(one)]) + one.encode() for one in (module, name)]
    return b"\x80\x04" + texts[0] + texts[1] + b"\x93" + text(argument) + b"\x85R" + STOP


def zip_entries(blob: bytes) -> list[int]:
    """Where a zip's directory has its entries."""
    with zipfile.ZipFile(io.BytesIO(blob)) as file:
        begin, count = file.start_dir, len(file.namelist())
    places = []
    for _ in range(count):
        places.append(begin)
        lengths = struct.unpack("<3H", blob[begin + 28 : begin + 34])
        begin += 46 + sum(lengths)
    return places


def with_bytes(blob: bytes, place: int, new: bytes) -> bytes:
    """The same with other bytes at one place."""
    return blob[:place] + new + blob[place + len(new) :]


SECONDS, BYTES = 20, 1024**3


def load_within_bounds(path: Path, answer: Connection) -> None:
    """Load a file in a process of its own, with little time and memory to do so; says what came of it."""
    from earmark.models import CheckpointError, load

    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + BYTES, resource.RLIM_INFINITY))
    used = resource.getrusage(resource.RUSAGE_SELF)
    seconds = int(used.ru_utime + used.ru_stime) + SECONDS
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    try:
        load(path)
        answer.send("it was loaded")
    except CheckpointError as error:
        answer.send(str(error))
    except BaseException as error:
        answer.send(f"not a CheckpointError but {error!r:.300}")


def import_under(folder: Path, source: Path, name: str) -> None:
    """Import a model in a process of its own, whose environment is not that of the test."""
    from earmark.models import import_model

    os.environ["EARMARK_CACHE"] = str(folder)
    import_model(source, name)
