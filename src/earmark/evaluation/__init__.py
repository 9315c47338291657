"""How good a model is on clips that it never saw."""

from earmark.evaluation.report import Report, evaluate

__all__ = ["Report", "evaluate"]
