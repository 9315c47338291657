"""`earmark hear`: the HEAR modules from the command line."""

from pathlib import Path

from cyclopts import App

app = App(name="hear", help="Check modules of the HEAR common API, and evaluate them.")


@app.command
def check(module: str, /, *, model: Path | None = None, threads: int | None = None) -> int:
    """Ask a HEAR module what the official validator asks, and what it does not.

    Args:
        module: of earmark.hear, such as passt_2level, or any other that can be imported.
        model: the file or name of the model that it shall load; its published one if not given.
        threads: processor threads; PyTorch's default if not given.
    """
    from rich.console import Console

    from earmark.cli.words import set_threads
    from earmark.hear.checking import check as checks
    from earmark.hear.checking import find_module

    set_threads(threads)
    found = find_module(module)
    loaded = found.load_model("" if model is None else str(model))
    out = Console(markup=False, highlight=False, emoji=False).out
    refused = 0
    for finding in checks(found, loaded):
        bad = finding.complaint is not None
        refused += bad and finding.grave
        mark = "ok" if not bad else "FAILS" if finding.grave else "warning"
        out(f"{mark:7}  {finding.what}" + (f": {finding.complaint}" if bad else ""))
    out(f"{module}: {'Looks good!' if not refused else f'{refused} checks fail'}")
    return 1 if refused else 0


app.command("earmark.cli.hear_eval:eval_", name="eval", help="Evaluate a module on the benchmark's tasks.")
