"""The command line: one short file for each verb, imported when it is called."""

import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from cyclopts import App, CycloptsError

from earmark import __version__
from earmark.cli.allocator import keep_memory
from earmark.cli.words import STDIN, Stopped, as_typed, tell

app = App(name="earmark", help="Tag, embed and learn sound.", version=__version__)
app.command("earmark.cli.tag:tag", name="tag", help="Say what is heard in recordings.")
app.command("earmark.cli.embed:embed", name="embed", help="Turn recordings into vectors.")
app.command("earmark.cli.show:show", name="show", help="Describe a model.")
app.command("earmark.cli.models:models", name="models", help="List the models that are known by name.")
app.command("earmark.cli.imports:import_", name="import", help="Convert published weights to earmark's file.")
app.command("earmark.cli.export:export", name="export", help="Write a model for its authors' program.")
app.command("earmark.cli.stats:stats", name="stats", help="Measure mean and deviation of a front end.")
app.command("earmark.cli.prepare:app", name="prepare", help="Check an archive of recordings, or fetch it.")
app.command("earmark.cli.pack:pack", name="pack", help="Put clips into a few large files, or check them.")
app.command("earmark.cli.unpack:unpack", name="unpack", help="Take clips out of a pack.")
app.command("earmark.cli.recipes:recipes", name="recipes", help="List the training recipes.")
app.command("earmark.cli.train:train", name="train", help="Train a model by a recipe.")
app.command("earmark.cli.pretrain:pretrain", name="pretrain", help="Learn from sound without labels.")
app.command("earmark.cli.bench_train:bench_train", name="bench-train", help="Time training steps.")
app.command("earmark.cli.evaluate:evaluate", name="evaluate", help="Count on clips that were held out.")
app.command("earmark.cli.probe:probe", name="probe", help="Count a linear probe of embeddings.")
app.command("earmark.cli.index:index", name="index", help="Put embeddings into an index.")
app.command("earmark.cli.search:search", name="search", help="Find what sounds alike in an index.")
app.command("earmark.cli.similar:similar", name="similar", help="Find the nearest clips by embedding.")
app.command("earmark.cli.crossval:crossval", name="crossval", help="Train and count fold by fold.")
app.command("earmark.cli.hear:app", name="hear", help="Check and evaluate modules of the HEAR API.")
app.command("earmark.cli.average:average", name="average", help="Average the weights of checkpoints.")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit.

    The exit status is 0 if all went well, 1 if some items failed, 2 for a wrong call, 74 if the output cannot
    be written, 130 after Ctrl-C and 143 after a request to terminate.

    Args:
        arguments: what stands behind the command's name; `sys.argv` if None.
    """
    given = sys.argv[1:] if arguments is None else arguments
    signal.signal(signal.SIGTERM, _stop)
    try:
        status = _run([STDIN if token == "-" else token for token in given])
        status = _flush(status)
    except KeyboardInterrupt:
        status = 128 + signal.SIGINT
    except Stopped as stopped:
        status = 128 + stopped.signal
    sys.exit(status)


def _run(tokens: Sequence[str]) -> int:
    try:
        command, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
        bound.arguments.update({name: as_typed(value) for name, value in bound.arguments.items()})
        keep_memory()
        status = command(*bound.args, **bound.kwargs)
    except CycloptsError as error:
        words = str(error).replace(STDIN, "-").strip().rstrip(".")
        tell(f"{words}; see `earmark --help`, or `--help` behind a command")
        return 2
    except BrokenPipeError:
        return 0  # whoever read our output has had enough
    except Exception as error:
        return _explained(error)
    return status if isinstance(status, int) else 0


def _explained(error: Exception) -> int:
    """The sentence and the exit status for an error that has them; any other is a bug and stays one."""
    from earmark.audio import AudioError
    from earmark.audio.process import DecoderError
    from earmark.config import ConfigError
    from earmark.inference.journal import OutputError

    torch = sys.modules.get("torch")  # an error of torch's can only come where it is imported
    tell_apart: dict[type[Exception], int] = {OutputError: 74, OSError: 74, ConfigError: 2}
    tell_apart |= dict.fromkeys((DecoderError, AudioError, UnicodeError, MemoryError), 1)
    if torch is not None:
        from earmark.models.checkpoint import CheckpointError

        tell_apart[CheckpointError] = 2
    if "earmark.training" in sys.modules:
        from earmark.training.settings import TrainingError

        tell_apart[TrainingError] = 1
    for kind, status in tell_apart.items():
        if isinstance(error, kind):
            for sentence in getattr(error, "sentences", None) or (_sentence(error),):
                tell(sentence)
            return status
    if torch is not None and isinstance(error, torch.OutOfMemoryError):
        tell("the device has too little memory for this; try a smaller --batch")
        return 1
    raise error


def _sentence(error: Exception) -> str:
    """An error in words; the system's own often come without the name of what they are about."""
    if isinstance(error, MemoryError):
        return "there is too little memory for this"
    if not isinstance(error, OSError):
        return str(error)
    from earmark.audio import displayable

    words = (error.strerror or str(error) or type(error).__name__).lower()
    named = isinstance(error.filename, str | bytes)
    return f"{displayable(error.filename) if named else 'reading or writing failed'}: {words}"


def _flush(status: int) -> int:
    """Flush here, where a closed pipe or a full disk can be caught, and not while the interpreter ends."""
    try:
        if sys.stdout is not None:  # pyright: ignore[reportUnnecessaryComparison] (None where it is closed)
            sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(error, BrokenPipeError) and status != 74:
            tell(f"standard output: {_sentence(error)}")
            return 74
    return status


def _stop(number: int, _: FrameType | None) -> None:
    raise Stopped(number)
