"""Recorded metrics of AST's and AudioTagging Done Right's own routines."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from earmark.evaluation.metrics import curves, d_prime, mean_over, measure

Outputs = dict[str, Tensor]


def metrics(args: dict[str, Any], inputs: Outputs, weights: Outputs | None) -> Outputs:
    scores, targets = inputs["scores"].numpy(), inputs["targets"].numpy() > 0.5
    swept = curves(scores, targets)
    # scikit-learn, which AST asks, says 0 of a class without positives
    aps = np.nan_to_num([one.average_precision() for one in swept])
    aucs = [one.auc() for one in swept]
    found = measure(scores, targets, None, exclusive=False)
    numbers = {
        "AP": aps,
        "auc": aucs,
        "acc": found["accuracy_argmax"],
        "mAP": aps.mean(),
        "mAUC": mean_over(aucs, strict=True),
        "d_prime": d_prime(mean_over(aucs, strict=True)),
        "d_prime_per_class": [d_prime(auc) for auc in aucs],
        "gas_mAP": found["map"],
        "gas_mAUC": found["auc"],
        "gas_d_prime": found["d_prime"],
        "gas_ap_auc_per_class": [[one.average_precision(), one.auc()] for one in swept],
        "best_f1_threshold_and_value": [list(one.best_f1()) for one in swept],
    }
    return {name: torch.tensor(np.asarray(value, dtype=np.float64)) for name, value in numbers.items()}


RUNNERS = (metrics,)
