"""`earmark export`: a model for other programs."""

from pathlib import Path
from typing import Literal

from earmark.cli.words import tell


def export(
    model: str,
    /,
    *,
    to: Literal["published", "onnx"] | None = None,
    out: Path | None = None,
    precision: Literal["fp32", "fp16", "int8"] = "fp32",
    data: Path | None = None,
) -> int:
    """Write a model for another program: by its published names, or as ONNX.

    By published names: PaSST, AST, PSLA, EfficientAT, audio_dbert (with its YAML) and the others that
    `earmark import` reads.  As ONNX from waveform to probabilities, front end inside, any number of clips of
    any length; `earmark tag --model FILE.onnx` runs it without torch.

    Args:
        model: a name, a file or a run folder.
        to: published or onnx; by the suffix of --out if not given.
        out: the file to write: .pt, .pth or .onnx; MODEL.onnx if not given.
        precision: of ONNX: fp16 for half the file, int8 for less work in transformers; less exact.
        data: a folder of recordings to hear by both programs, for a report of how far they agree.
    """
    import earmark
    from earmark.audio.errors import displayable, one_line
    from earmark.cli.evaluate import plain_console
    from earmark.config import ConfigError

    kind = to or ("onnx" if out is not None and out.suffix.lower() == ".onnx" else "published")
    if kind == "onnx":
        return as_onnx(model, out or Path(f"{_named(model)}.onnx"), precision, data)
    from earmark.models.exporting import export_published

    if out is None or precision != "fp32" or data is not None:
        raise ConfigError("by published names a model is written as it is: give --out FILE.pt, or --to onnx")
    family = export_published(earmark.load(model), out)
    plain_console().out(one_line(f"Wrote {displayable(out)}, as {family} is published"))
    return 0


def _named(model: str) -> str:
    """A model's name, or that of its file without what says how it is written."""
    path = Path(model)
    return path.stem if path.suffix in (".safetensors", ".pt", ".pth", ".bin", ".ckpt") else path.name


def as_onnx(model: str, out: Path, precision: Literal["fp32", "fp16", "int8"], data: Path | None) -> int:
    """Write it, and tell how far it agrees with torch on real clips."""
    import earmark
    from earmark.audio.errors import displayable, one_line
    from earmark.cli.evaluate import plain_console
    from earmark.config import ConfigError
    from earmark.evaluation.parity import compare
    from earmark.inference.digest import weights_digest
    from earmark.inference.onnx_ear import open_onnx
    from earmark.inference.placing import ear_of
    from earmark.inference.sources import Search
    from earmark.models.ensemble import Ensemble
    from earmark.models.onnx import export_onnx

    if out.suffix.lower() != ".onnx":
        raise ConfigError(f"--out {displayable(out)!r} must end in .onnx")
    tagger = earmark.load(model)
    if isinstance(tagger, Ensemble):
        raise ConfigError(f"{model} is an ensemble; export its members one by one")
    clips = None if data is None else list(Search([str(data)]))
    export_onnx(tagger, out, precision, weights_digest(model))
    console = plain_console()
    console.out(one_line(f"Wrote {displayable(out)}, {out.stat().st_size / 1e6:.1f} MB, {precision}"))
    if clips is None:
        return 0
    found = compare(ear_of(tagger), open_onnx(out), clips)
    for sentence in found.failed:
        tell(sentence)
    console.out(
        f"{found.clips} clips: the same best label for {found.same_best}, "
        f"largest difference of a probability {found.largest:.2g}"
    )
    return 1 if found.failed else 0
