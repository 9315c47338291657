"""How good a model is on clips that it never saw."""

from earmark.evaluation.metrics import evaluate_arrays, measure
from earmark.evaluation.predictions import Predictions, predict
from earmark.evaluation.report import Report, evaluate, report_of

__all__ = ["Predictions", "Report", "evaluate", "evaluate_arrays", "measure", "predict", "report_of"]
