"""The HEAR benchmark's protocol: frozen embeddings, a shallow network, tasks in the official layout."""

from earmark.evaluation.hear_tasks.layout import HearTask, find_tasks, read_task
from earmark.evaluation.hear_tasks.listener import Listener, listener
from earmark.evaluation.hear_tasks.protocol import Protocol
from earmark.evaluation.hear_tasks.running import evaluate_task

__all__ = ["HearTask", "Listener", "Protocol", "evaluate_task", "find_tasks", "listener", "read_task"]
