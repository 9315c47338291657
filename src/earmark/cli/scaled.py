"""A run over many files on many machines: the same verbs, with `--engine ray`."""

import hashlib
from pathlib import Path

from earmark.audio import displayable
from earmark.cli.batch import Batch, run_batch, tell_skipped
from earmark.cli.terminal import Output, Watch
from earmark.cli.words import Stopped, tell
from earmark.config import ConfigError
from earmark.inference.formats import check
from earmark.inference.journal import OutputError
from earmark.inference.parts import measured, names_of_parts, part_name, write_index
from earmark.scaling.engine import hear_blocks, see_to
from earmark.scaling.plan import Plan, anywhere, found_plan, make_plan, missing
from earmark.scaling.work import Work
from earmark.storage import address as as_address
from earmark.storage import is_address

LONGEST = 300
"""Letters of the paths of a run that its plan repeats, for people; of more of them it knows the digest."""


def run_by(engine: str, address: str | None, batch: Batch) -> int:
    """Hear everything, in this process or by an engine of many.

    Returns:
        The exit status: 0, or 1 if some items failed.

    Raises:
        ConfigError: the settings do not fit together, or to what shall be resumed.
        OutputError: the output cannot be written.
    """
    if engine == "ray":
        return _run_scaled(batch, _folder(batch), address)
    if address is not None:
        raise ConfigError("--address is of a Ray cluster; add --engine ray, or leave it out")
    return run_batch(batch)


def _folder(batch: Batch) -> str:
    """Where the parts go, as all processes know it."""
    if batch.out is None:
        raise ConfigError("--engine ray needs --out FOLDER: many processes write it, part by part")
    if batch.form != "parquet":
        raise ConfigError(f"--engine ray writes parquet, and {batch.form} is asked for; leave it out")
    if batch.run.device not in (None, "cpu", "cuda"):
        raise ConfigError(
            f"--device is {batch.run.device}, but Ray gives each process a card of its own; take cuda"
        )
    check(batch.form)
    if is_address(batch.out):
        return as_address(batch.out)
    if batch.out.exists() and not batch.out.is_dir():
        raise ConfigError(f"{displayable(batch.out)} is a file, and --engine ray writes a folder")
    return str(Path.cwd() / batch.out)


def _run_scaled(batch: Batch, folder: str, address: str | None) -> int:
    Output()  # what libraries print is no output
    see_to(address)
    with Watch() as watch:
        plan = _plan(batch, folder, watch)
        blocks = missing(folder, plan)
        to_do = {part_name(block.number) for block in blocks}
        parts = {
            name: measured(folder, name)
            for name in (part_name(block.number) for block in plan.blocks)
            if name not in to_do
        }
        watch.expect(lambda: sum(block.items for block in blocks))
        prepare = batch.prepare
        work = Work(folder, batch.run, lambda threads: prepare(threads).hear, batch.record, batch.write)
        try:
            for done in hear_blocks(work, blocks, address) if blocks else ():
                parts[done.part.name] = done.part
                for seconds in done.seconds:
                    watch.step(seconds)
                for line in done.told:
                    watch.tell(line)
        except (KeyboardInterrupt, Stopped, OutputError):
            kept = f"{len(names_of_parts(folder))} of {len(plan.blocks)} parts are kept"
            tell(f"stopped; {kept} in {displayable(folder)}; the same command with --resume goes on")
            raise
        write_index(folder, [parts[name] for name in sorted(parts)])
    return 1 if any(part.failed for part in parts.values()) else 0


def _plan(batch: Batch, folder: str, watch: Watch) -> Plan:
    settings = {**batch.settings, "paths": _brief([anywhere(path) for path in batch.search.paths])}
    plan = found_plan(folder, settings) if batch.resume else None
    if plan is None:
        if batch.settings.get("model_digest") is None:
            batch.prepare(1)  # no such model, which is better said before there is a plan
        plan = make_plan(folder, batch.search, settings, batch.run.batch)
        tell_skipped(watch, batch.search)
    return plan


def _brief(paths: list[str]) -> str:
    """What was pointed at, short enough for a sentence."""
    named = " ".join(displayable(path) for path in paths)
    if len(named) <= LONGEST:
        return named
    digest = hashlib.sha256(named.encode()).hexdigest()[:16]
    return f"{named[:LONGEST]}... ({len(paths)} paths, {digest})"
