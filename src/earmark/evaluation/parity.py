"""Do two programs that compute the same model say the same?"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from earmark.inference.hearing import Ear
from earmark.inference.pipeline import run_through
from earmark.inference.settings import Cut, Run
from earmark.inference.sources import Item


class Parity(NamedTuple):
    """How far two programs agree.

    Attributes:
        clips: that both heard.
        same_best: clips whose most probable label is the same.
        largest: the largest difference of a probability.
        failed: sentences for clips that could not be heard.
    """

    clips: int
    same_best: int
    largest: float
    failed: list[str]


def compare(one: Ear, other: Ear, items: Sequence[Item], run: Run | None = None) -> Parity:
    """Hear the same clips twice, by the path that users take.

    Args:
        one: a model.
        other: the same in another program, or in fewer bits.
        items: the clips.
        run: where and how.
    """
    run = run or Run()
    clips, same, largest, failed = 0, 0, 0.0, list[str]()
    outcomes = (run_through(items, ear, ear.clips, cut=Cut(), run=run) for ear in (one, other))
    for first, second in zip(*outcomes, strict=True):
        if first.error is not None or second.error is not None:
            failed.append(str(first.error or second.error))
            continue
        before, after = first.rows[0].mean(), second.rows[0].mean()
        clips += 1
        same += int(np.argmax(before) == np.argmax(after))
        largest = max(largest, float(np.abs(before - after).max()))
    return Parity(clips, same, largest, failed)
