"""`earmark embed`: turn recordings into vectors."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter


def embed(
    paths: list[str],
    /,
    *,
    out: Path,
    level: Literal["clip", "frame"] = "clip",
    mode: Literal["embedding", "logits", "all"] = "embedding",
    layer: list[int | Literal["bands", "end"]] | None = None,
    pool: Literal["summary", "mean", "mean+deviation"] = "summary",
    model: str = "builtin",
    window: float | None = None,
    hop: float | None = None,
    device: str = "cpu",
    precision: Literal["fp32", "bf16", "int8"] = "fp32",
    batch: int = 16,
    workers: int | None = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    on_truncated: Literal["error", "keep"] = "error",
    engine: Literal["here", "ray"] = "here",
    address: str | None = None,
) -> int:
    """Turn recordings into vectors.

    A file that cannot be heard is named on standard error and in the output; the others are done, and the
    exit status is 1.

    Args:
        paths: files, folders, globs, addresses, or - for standard input; or one table of sounds, which may
            name stretches of files.
        out: write to this file, .npz, .parquet or .safetensors; it appears when all is done.
        level: a vector for each file or window (clip), or for each frame that the model encodes (frame).
        mode: the embedding, the logits, or the logits followed by the embedding (all).
        layer: embed with this layer of the encoder, from 0, or from -1 backwards; its end if not given. Given
            several times, they stand behind one another; bands (of the front end) and end may be among them.
        pool: how frames become a vector: as the model does it, by their mean or their mean and deviation.
        model: a name, a checkpoint file, a training run's folder, or several of them with commas between.
        window: seconds; a vector for each stretch of this length, instead of one for the file.
        hop: seconds from the start of one window to the next; the window if not given.
        device: where the model computes, such as cuda.
        precision: fp32, or bf16 or int8 for less work and results that are a little less exact.
        batch: windows that go through the model together.
        workers: decoder processes; 0 decodes in this one.
        resume: go on with what a stopped run with this --out left; or add to a finished .parquet.
        on_truncated: refuse files that are cut off (error), or hear what is there (keep).
        engine: this process (here), or many on all machines of a Ray cluster (ray), which write a folder of
            .parquet parts.
        address: of the cluster; a Ray of its own on this machine if not given.
    """
    from earmark.cli.batch import Batch, Ready, share_cores
    from earmark.cli.scaled import run_by
    from earmark.inference import formats
    from earmark.inference.digest import weights_digest
    from earmark.inference.settings import EmbedSettings, Run, as_layer
    from earmark.inference.sources import Search

    asked = EmbedSettings(level=level, mode=mode, layer=as_layer(layer), pool=pool, window=window, hop=hop)
    run = Run(device=device, batch=batch, workers=workers, on_truncated=on_truncated)

    settings = {
        "verb": "embed",
        "model": model,
        "model_digest": weights_digest(model),
        "precision": precision,
        "on_truncated": on_truncated,
        **asked.to_dict(),
    }

    def prepare(threads: int) -> Ready:
        share_cores(threads)
        from earmark.inference.embedding import embed_items, ready_to_embed
        from earmark.inference.giving import what_to_give
        from earmark.models.precision import with_precision

        encoder = with_precision(ready_to_embed(model, device), precision)
        give = what_to_give(encoder, asked)
        return Ready(
            hear=lambda items, pool: embed_items(items, encoder, asked, run, pool),
            misfit=lambda record: formats.misfit_of_embeddings(record, asked, give.dim, give.spacing or 0.0),
        )

    return run_by(
        engine,
        address,
        Batch(
            search=Search(paths),
            run=run,
            form=formats.choose(out, "parquet" if engine == "ray" else None, formats.EMBED_SUFFIXES),
            out=out,
            resume=resume,
            settings=settings,
            prepare=prepare,
            record=formats.of_embeddings,
            write=partial(formats.write_embeddings, about=settings),
            earlier=partial(formats.read_embeddings, about=settings),
        ),
    )
