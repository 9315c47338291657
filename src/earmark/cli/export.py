"""`earmark export`: a model for other programs."""

from pathlib import Path


def export(model: str, /, *, out: Path) -> int:
    """Write a model by its published names, for the program that it was first published with.

    PaSST, AST, PSLA, EfficientAT, audio_dbert (with its YAML) and the others that `earmark import` reads.

    Args:
        model: a name, a file or a run folder.
        out: the .pt or .pth file to write.
    """
    from rich.console import Console

    import earmark
    from earmark.audio.errors import displayable, one_line
    from earmark.models.exporting import export_published

    family = export_published(earmark.load(model), out)
    tell = Console(markup=False, highlight=False, emoji=False).out
    tell(one_line(f"Wrote {displayable(out)}, as {family} is published"))
    return 0
