"""`earmark prepare hear-tasks`: tasks in the layout of the HEAR benchmark, made from corpora."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from earmark.cli.words import tell


def hear_tasks(
    kind: str,
    /,
    *,
    data: Path | None = None,
    out: Path,
    run: Annotated[list[str] | None, Parameter(name="--with")] = None,
) -> int:
    """Write a task in the layout of hear-preprocess, for `earmark hear eval` and for the benchmark's own kit.

    It can be killed at any moment: the same command goes on where it was.  Sounds that cannot be read are
    left out and told; the exit status is then 1.

    Args:
        kind: esc10, esc50, fsdd, ravdess or speech-commands; table, for any table or folder of classes;
            pitch, for a table whose labels are MIDI numbers; tones, which are rendered; or timeline, which
            places clips of a corpus on a timeline and notes when.
        data: folder or table of the corpus; tones need none.
        out: folder for tasks; it gets one more.
        run: settings, such as --with rates=[16000,32000], --with seconds=2, --with name=mine, or --with
            recordings=60 and --with seed=1 of a timeline.
    """
    from earmark.cli.terminal import Watch
    from earmark.config import ConfigError, did_you_mean, override
    from earmark.data.preparation.hear_tasks import KINDS, Making, write_task

    if kind not in KINDS:
        hint = did_you_mean(kind, KINDS, f"there are {', '.join(KINDS)}")
        raise ConfigError(f"no kind of task {kind!r}; {hint}")
    if data is None and kind != "tones":
        raise ConfigError(f"{kind} needs --data, a folder or table of sounds")
    making = override(Making(), run or [])
    sketch = KINDS[kind](data or Path(), making)
    with Watch() as watch:
        watch.expect(lambda: sum(map(len, sketch.splits.values())) * len(making.rates))
        folder, failed = write_task(sketch, out, making, watch.step)
    for sentence in failed:
        tell(sentence)
    sounds = sum(map(len, sketch.splits.values())) - len(failed)
    tell(f"{folder}: {sounds} sounds of {len(sketch.labels)} labels in {', '.join(sketch.splits)}")
    return 1 if failed else 0
