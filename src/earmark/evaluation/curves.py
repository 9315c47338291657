"""What happens to one class while its threshold sinks: the one sweep from which its metrics are read."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

EVERY = 1000
"""AudioTagging Done Right keeps each thousandth point of a precision-recall curve."""


class Curve(NamedTuple):
    """Counts at each distinct score of a class, highest first.

    Clips of equal score enter together, so that the order of the clips never matters.

    Attributes:
        scores: the distinct scores, falling.
        hits: positive clips of this score or more.
        called: clips of this score or more.
        positives: all positive clips.
        clips: all clips.

    Example:
        >>> curve = sweep(np.array([0.9, 0.8, 0.1]), np.array([True, False, True]))
        >>> curve.average_precision(), curve.auc()
        (0.8333333333333333, 0.5)
    """

    scores: Float[np.ndarray, "step"]
    hits: Int[np.ndarray, "step"]
    called: Int[np.ndarray, "step"]
    positives: int
    clips: int

    def average_precision(self) -> float:
        """Area under the precision-recall steps; NaN without a positive clip.

        Source:
            scikit-learn's `average_precision_score` and the second routine of AudioTagging Done Right; agrees
            with both to 1e-12.
        """
        if not self.positives:
            return float("nan")
        gained = np.diff(self.hits, prepend=0)
        return float((self.hits / self.called * gained).sum() / self.positives)

    def auc(self) -> float:
        """Area under the ROC curve, ties counted half; NaN where all clips are positive, or none.

        Source:
            scikit-learn's `roc_auc_score`; agrees with it to 1e-12.
        """
        negatives = self.clips - self.positives
        if not self.positives or not negatives:
            return float("nan")
        false = self.called - self.hits
        height = 2 * self.hits - np.diff(self.hits, prepend=0)  # twice the mean of both ends of a step
        return float((np.diff(false, prepend=0) * height).sum() / (2 * self.positives * negatives))

    def best_f1(self) -> tuple[float, float]:
        """The threshold that makes F1 largest, and that F1.

        Returns:
            The middle between the scores on both sides of the cut, the highest of equally good ones: infinite
            without a positive clip, minus infinite where it is best to call every clip.

        Source:
            `util_f1` of AudioTagging Done Right (Wang's thesis code); agrees with recorded values.
        """
        if not self.positives:
            return float("inf"), 0.0
        f1 = 2 * self.hits / (self.positives + self.called)
        best = int(f1.argmax())
        return self.cut_below(best), float(f1[best])

    def best_precision(self, precision: float) -> tuple[float, float]:
        """The threshold that calls most clips at a precision of at least so much, and that recall.

        Returns:
            As `best_f1`; an infinite threshold and a recall of 0 where no threshold is precise enough.
        """
        enough = np.flatnonzero(self.hits >= precision * self.called)
        if not len(enough) or not self.hits[enough[-1]]:
            return float("inf"), 0.0
        last = int(enough[-1])
        return self.cut_below(last), float(self.hits[last] / self.positives)

    def cut_below(self, step: int) -> float:
        """A threshold between the score of a step and that of the next."""
        if step + 1 == len(self.scores):
            return float("-inf")
        return (float(self.scores[step]) + float(self.scores[step + 1])) / 2

    def middle(self, every: int = EVERY) -> tuple[float, float]:
        """Precision and recall in the middle of the curve's points, counted, not measured.

        Args:
            every: only each so many-th point is looked at, from the lowest threshold on.

        Returns:
            NaN without a positive clip.

        Source:
            The columns `avg_precision` and `avg_recall` in the tables of AST and AudioTagging Done Right; not
            a usual metric.
        """
        if not self.positives:
            return float("nan"), float("nan")
        precision = np.append((self.hits / self.called)[::-1], 1.0)[::every]
        recall = np.append((self.hits / self.positives)[::-1], 0.0)[::every]
        return float(precision[len(precision) // 2]), float(recall[len(recall) // 2])


def sweep(
    scores: Float[np.ndarray, "clip"],
    targets: Bool[np.ndarray, "clip"],
    known: Bool[np.ndarray, "clip"] | None = None,
) -> Curve:
    """Count while the threshold sinks.

    Args:
        scores: higher means more likely; any scale, no NaN.
        targets: where the label holds.
        known: where that is known; other clips are left out, as if they had no weight.  None for everywhere.
    """
    if known is not None and not known.all():
        scores, targets = scores[known], targets[known]
    order = np.argsort(-scores)
    falling = scores[order]
    last = np.flatnonzero(falling[1:] != falling[:-1])  # the last clip of each run of equal scores
    ends = np.append(last, len(scores) - 1) if len(scores) else last
    hits = np.cumsum(targets[order])
    return Curve(falling[ends], hits[ends], ends + 1, int(targets.sum()), len(scores))
