"""AudioSet's 527 classes, in the order of the logits of models trained on it."""

import csv
from functools import cache
from pathlib import Path

from earmark.labels import LabelSet

TABLE = Path(__file__).with_name("audioset.csv")


@cache
def audioset_labels() -> LabelSet:
    """The label set: display names, and Freebase's machine ids; several may hold for a clip.

    Source:
        `class_labels_indices.csv`, published with AudioSet (Gemmeke et al., ICASSP 2017; CC BY 4.0).

    Example:
        >>> labels = audioset_labels()
        >>> len(labels), labels.names[0], labels.ids[0]
        (527, 'Speech', '/m/09x0r')
    """
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return LabelSet(
        names=tuple(row["display_name"] for row in rows),
        ids=tuple(row["mid"] for row in rows),
    )
