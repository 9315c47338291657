"""All tasks of a module as JSON and as a page."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from earmark import __version__
from earmark.evaluation.assessment import defined
from earmark.evaluation.folder import number, write_text
from earmark.evaluation.hear_tasks.listener import Listener
from earmark.evaluation.hear_tasks.protocol import Protocol
from earmark.evaluation.hear_tasks.published import published
from earmark.storage import made_folder


def report(who: Listener, protocol: Protocol, tasks: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """What was found, as plain values.

    Args:
        who: was evaluated.
        protocol: how much was tried.
        tasks: what `evaluate_task` gave for each.
    """
    return {
        "module": who.name,
        "model": who.model_file or None,
        "load_model": dict(who.how),
        "digest": who.digest,
        "earmark": __version__,
        "protocol": protocol.to_dict(),
        "tasks": [{**task, "published": published(task["name"], task["task"])} for task in tasks],
    }


def write_report(told: dict[str, Any], folder: Path) -> None:
    """Write hear.md and hear.json, each whole or not at all.

    Args:
        told: by `report`.
        folder: is made if need be.

    Raises:
        OSError: they cannot be written.
    """
    made_folder(folder)
    write_text(folder / "hear.md", page(told))
    write_text(folder / "hear.json", json.dumps(defined(told), indent=1, ensure_ascii=False))


def page(told: dict[str, Any]) -> str:
    """The report for people."""
    protocol = told["protocol"]
    lines = [f"# {told['module']}" + (f" with {told['model']}" if told["model"] else ""), ""]
    if told["load_model"]:
        lines += [
            f"Loaded with {', '.join(f'{name}={value}' for name, value in told['load_model'].items())}.",
            "",
        ]
    lines += [
        f"HEAR's protocol: frozen embeddings, {protocol['grid_points']} points of the grid, at most "
        f"{protocol['max_epochs']} epochs, seed {protocol['seed']}.",
        "",
        "| task | metric | score | deviation over folds | sounds | cpu s embedding | cpu s learning |",
        "|---|---|---|---|---|---|---|",
    ]
    for task in told["tasks"]:
        for place, (name, pair) in enumerate(task["metrics"].items()):
            spread = number(pair["deviation"]) if len(task["folds"]) > 1 else "-"
            cost = [
                task["sounds"],
                *(f"{task[f'{what}_cpu_seconds']:.0f}" for what in ("embedding", "learning")),
            ]
            cells = [task["task"] if not place else "", name, number(pair["mean"]), spread]
            lines.append(f"| {' | '.join(map(str, cells + (cost if not place else ['', '', ''])))} |")
    for task in told["tasks"]:
        lines += _beside_others(task) + _failures(task)
    return "\n".join(lines) + "\n"


def _beside_others(task: dict[str, Any]) -> list[str]:
    """The leaderboard's rows for a task of this name."""
    if not task["published"]:
        return []
    name, pair = next(iter(task["metrics"].items()))
    rows = sorted(task["published"].items(), key=lambda row: -row[1])
    lines = ["", f"## {task['task']} beside the leaderboard", ""]
    lines += [f"Published {name}, each for the official data, which these may not be:", ""]
    lines += ["| system | score |", "|---|---|", f"| **this** | **{number(pair['mean'])}** |"]
    return lines + [f"| {system} | {score:.3f} |" for system, score in rows]


def _failures(task: dict[str, Any]) -> list[str]:
    if not task["failed"]:
        return []
    lines = ["", f"## {task['task']}: sounds that could not be heard", ""]
    return lines + [f"- {sentence}" for sentence in task["failed"]]
