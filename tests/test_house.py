"""The ratchets: what the house promises about its own text.  They are only ever tightened."""

import ast
import io
import re
import subprocess
import sys
import tokenize
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
MODULES = sorted(SOURCE.rglob("*.py"))
COMMAND_LINE = SOURCE / "earmark" / "cli"

LINES_OF_A_FILE = 300
LINES_OF_A_FUNCTION = 50
ARGUMENTS = 6
FLAGS = 44
LINES_OF_A_TWIN = 8

LISTED: dict[str, dict[str, str]] = {
    # rule: {"earmark/room/file.py::name": "why this one may"}
    "file": {},
    "function": {
        "earmark/cli/embed.py::embed": "a verb: its signature and its help are most of it",
        "earmark/cli/tag.py::tag": "a verb: its signature and its help are most of it",
    },
    "arguments": {
        "earmark/inference/tagging.py::tag": "the front door: a source, a model, four words of how",
        "earmark/inference/embedding.py::embed": "the front door: a source, a model, six words of how",
    },
    "shape": {},
}

Function = ast.FunctionDef | ast.AsyncFunctionDef
Named = Function | ast.ClassDef

SHAPED = {
    "Float",
    "Float32",
    "Float64",
    "Int",
    "Int16",
    "Int64",
    "UInt8",
    "Bool",
    "Complex",
    "Inexact",
    "Num",
    "Real",
}
SHAPED |= {"Integer", "Shaped"}
MIXED = {"dict", "Mapping", "MutableMapping"}  # a state dict: each of its tensors has a shape of its own


def place(path: Path, name: str = "") -> str:
    where = path.relative_to(SOURCE).as_posix()
    return f"{where}::{name}" if name else where


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def public(tree: ast.Module | ast.ClassDef, prefix: str = "") -> Iterator[tuple[str, Named]]:
    """Public functions and classes, and the public methods of those classes."""
    for node in tree.body:
        if isinstance(node, Named) and not node.name.startswith("_"):
            yield prefix + node.name, node
            if isinstance(node, ast.ClassDef):
                yield from public(node, f"{prefix}{node.name}.")


def documented_lines(tree: ast.AST) -> set[int]:
    """The line numbers that docstrings take."""
    lines: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | Named) and ast.get_docstring(node, clean=False) is not None:
            text = node.body[0]
            lines.update(range(text.lineno, (text.end_lineno or text.lineno) + 1))
    return lines


def parsed() -> Iterator[tuple[Path, ast.Module]]:
    return ((path, ast.parse(path.read_text(encoding="utf-8"))) for path in MODULES)


def comments(path: Path) -> Iterator[tuple[int, str]]:
    for token in tokenize.generate_tokens(io.StringIO(path.read_text(encoding="utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def must_be_listed(rule: str, found: dict[str, str]) -> None:
    """Fail on what is neither within the rule nor listed, and on a listing that nothing needs any more."""
    listed = LISTED[rule]
    assert not {where: what for where, what in found.items() if where not in listed}
    assert not set(listed) - set(found), "no longer needed in LISTED"
    assert all(listed.values()), "a listing needs its reason"


def test_the_library_has_modules():
    assert {"earmark/config.py", "earmark/labels.py"} <= {place(path) for path in MODULES}


def test_the_library_has_no_assert():
    found = [
        place(path, str(node.lineno))
        for path, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert)
    ]
    assert not found


def test_the_library_does_not_print():
    found = [
        place(path, str(node.lineno))
        for path, tree in parsed()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]
    assert not found


def test_the_library_leaves_nothing_to_do():
    mark = re.compile(r"\b(TODO|FIXME|XXX)\b")
    assert not [place(path) for path in MODULES if mark.search(path.read_text(encoding="utf-8"))]


def test_each_silenced_type_error_has_its_reason():
    silenced = re.compile(r"#\s*(?:type|pyright):\s*ignore(?P<rules>\[[^]]+])?(?P<reason>.*)")
    found: list[str] = []
    for path in MODULES:
        for line, comment in comments(path):
            match = silenced.search(comment)
            if match and (not match["rules"] or len(re.findall(r"\w+", match["reason"])) < 2):
                found.append(place(path, f"{line} {comment}"))
    assert not found


def test_public_names_have_docstrings():
    found = [place(path) for path, tree in parsed() if tree.body and not ast.get_docstring(tree)]
    for path, tree in parsed():
        found += [place(path, name) for name, node in public(tree) if not ast.get_docstring(node)]
    assert not found


def test_files_are_short():
    lengths = {place(path): len(path.read_text(encoding="utf-8").splitlines()) for path in MODULES}
    must_be_listed("file", {where: f"{n} lines" for where, n in lengths.items() if n > LINES_OF_A_FILE})


def test_functions_are_short():
    found: dict[str, str] = {}
    for path, tree in parsed():
        for node in functions(tree):
            lines = set(range(node.lineno, (node.end_lineno or node.lineno) + 1)) - documented_lines(node)
            if len(lines) > LINES_OF_A_FUNCTION:
                found[place(path, node.name)] = f"{len(lines)} lines"
    must_be_listed("function", found)


def test_public_functions_have_few_arguments():
    found: dict[str, str] = {}
    for path, tree in parsed():
        if COMMAND_LINE in path.parents:
            continue  # a verb's arguments are its flags, which have their own ratchet
        for name, node in public(tree):
            if isinstance(node, Function) and len(argument_names(node)) > ARGUMENTS:
                found[place(path, name)] = ", ".join(argument_names(node))
    must_be_listed("arguments", found)


def argument_names(function: Function) -> list[str]:
    given = function.args
    some = [*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg]
    return [one.arg for one in some if one is not None and one.arg not in ("self", "cls")]


def test_public_tensors_have_shapes():
    found: dict[str, str] = {}
    for path, tree in parsed():
        for name, node in public(tree):
            if isinstance(node, Function):
                notes = [one.annotation for one in ast.walk(node.args) if isinstance(one, ast.arg)]
                bare = [shape for note in [*notes, node.returns] if note for shape in shapeless(note)]
                if bare:
                    found[place(path, name)] = ", ".join(bare)
    must_be_listed("shape", found)


def shapeless(annotation: ast.expr) -> Iterator[str]:
    """The tensors and arrays of an annotation that stand outside a jaxtyping shape."""
    if isinstance(annotation, ast.Subscript) and ast.unparse(annotation.value) in SHAPED | MIXED:
        return
    if ast.unparse(annotation) in ("Tensor", "torch.Tensor", "np.ndarray"):
        yield ast.unparse(annotation)
        return
    for child in ast.iter_child_nodes(annotation):
        if isinstance(child, ast.expr):
            yield from shapeless(child)


def test_no_eight_lines_are_written_twice():
    seen: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for path, tree in parsed():
        said = documented_lines(tree)
        code = [
            (number, line.strip())
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1)
            if number not in said and re.match(r"\s*(?!import |from |#)\S", line)
        ]
        for first in range(len(code) - LINES_OF_A_TWIN + 1):
            block = code[first : first + LINES_OF_A_TWIN]
            seen[tuple(text for _, text in block)].append(place(path, str(block[0][0])))
    assert not [places for places in seen.values() if len(places) > 1]


def test_each_floor_imports_only_what_lies_below():
    command = [str(Path(sys.executable).with_name("lint-imports")), "--no-cache", "--no-logo"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_no_page_names_a_path_of_one_machine():
    roots = [ROOT / name for name in ("docs", "examples", "benchmarks", "src", ".ci")]
    pages = [page for root in roots for page in root.rglob("*") if page.is_file()]
    pages += [page for page in ROOT.iterdir() if page.is_file() and page.name != ".git"]
    machine = re.compile(r"(?<![\w.~/-])/(?:work|root|Users|home/(?!you\b))[/\w]")
    found: list[str] = []
    for page in pages:
        text = page.read_bytes()
        if b"\0" not in text and machine.search(text.decode("utf-8", errors="replace")):
            found.append(str(page.relative_to(ROOT)))
    assert not found


def test_the_example_clips_are_small_and_named_on_their_page():
    page = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    clips = [path for path in (ROOT / "examples").iterdir() if path.suffix not in (".md", ".py")]
    assert 8 <= len(clips) <= 12
    assert not [clip.name for clip in clips if clip.stat().st_size > 150_000 or f"`{clip.name}`" not in page]


def needs_the_command_line() -> None:
    if not (COMMAND_LINE / "__init__.py").exists():
        pytest.skip("there is no command line yet")


def test_the_command_line_has_few_flags():
    needs_the_command_line()
    from earmark.cli import app

    flags = sorted(
        {flag.split()[-1] for flag in command_flags(app)}
    )  # one that many verbs have is learned once
    assert 0 < len(flags) <= FLAGS, flags


def command_flags(app: object) -> Iterator[str]:
    """Each verb's flags under their first name, `--help` and `--version` left out."""
    import cyclopts

    assert isinstance(app, cyclopts.App)
    if app.default_command is not None:
        for argument in app.assemble_argument_collection():
            if argument.names and argument.names[0].startswith("-"):
                yield f"{' '.join(app.name)} {argument.names[0]}"
    for verb in app:
        if not verb.startswith("-"):
            yield from command_flags(app[verb])


def test_help_answers_without_torch():
    needs_the_command_line()
    program = (
        "import sys\nfrom earmark.cli import main\nsys.argv = ['earmark', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\nsys.exit('torch' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "tag" in run.stdout
