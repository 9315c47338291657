"""`earmark import`: published weights become a model that is known by name."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from earmark.audio.errors import displayable, one_line

if TYPE_CHECKING:
    from earmark.models.recognized import Recognized
    from earmark.models.tagger import TaggerConfig


def import_(
    file: Path,
    /,
    *,
    as_: Annotated[str | None, Parameter(name="--as")] = None,
    set_: Annotated[list[str] | None, Parameter(name="--set")] = None,
    out: Path | None = None,
) -> int:
    """Convert published weights to earmark's own file.

    What they are is told by their names and shapes: PaSST, AST, PSLA and others, from torch.save or
    safetensors.  Code in the file is never run.

    Args:
        file: the weights, or a folder of Hugging Face's with them.
        as_: what --model shall know the model by; made of the file's name if not given.
        set_: what weights do not tell, such as --set frontend.hop_length=160; may be given several times.
        out: write to this .safetensors file instead, and keep it under no name.
    """
    from rich.console import Console

    from earmark.models.importing import import_model

    done = import_model(file, as_, set_ or [], out)
    tell = Console(markup=False, highlight=False, emoji=False).out
    name = displayable(done.path) if done.name is None else done.name
    for line in _report(done.recognized):
        tell(one_line(line))
    tell(one_line(f"Kept in {displayable(done.path)}"))
    tell(one_line(f"Use it: earmark tag --model {name} FILE, or earmark.load({name!r})"))
    return 0


def _report(found: "Recognized") -> list[str]:
    """What was recognized, and what the weights did not tell."""
    config = found.tagger.config
    head = "no head: it gives embeddings" if config.head is None else f"{config.head.kind}, {_labels(found)}"
    lines = [
        f"Recognized: {found.family}, {found.tagger.count_parameters():,} parameters",
        f"  encoder: {config.encoder.kind}, embeddings of {config.encoder.dim}",
        f"  head: {head}",
        f"  front end: {_frontend(config)}",
        f"  clips: {config.clip_seconds:g} s",
    ]
    if found.family == "earmark":
        return lines
    told = "all of" if found.named_by else "the names of the classes,"
    return [
        *lines,
        f"Weights do not tell {told} the front end and the length of clips; these are as published models "
        "have them.  Others: --set frontend.FIELD=VALUE, --set clip_seconds=SECONDS.",
    ]


def _labels(found: "Recognized") -> str:
    names = found.tagger.labels.names
    shown = ", ".join(names[:3])
    source = f", named by {found.named_by}" if found.named_by else ""
    return f"{len(names)} classes ({shown}{', ...' if len(names) > 3 else ''}){source}"


def _frontend(config: "TaggerConfig") -> str:
    frontend = config.frontend
    return (
        f"{frontend.kind}, {frontend.sample_rate} Hz, {frontend.n_bands} bands, a frame each "
        f"{1000 * frontend.frame_seconds:g} ms"
    )
