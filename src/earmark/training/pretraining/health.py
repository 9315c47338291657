"""Whether pretraining goes well: numbers to look at, and a detector of collapse."""

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from pydantic import Field
from torch import Tensor

from earmark.config import Frozen


class Collapse(Frozen):
    """When features have collapsed.

    Attributes:
        perplexity: a clustering's perplexity, from 1 at worst to the number of clusters (or of vectors in a
            batch, if they are fewer) at best, must be above this share of the way.
        deviation: the vectors of a batch must differ from one another by this share of what they did when
            the centroids began; an absolute number would depend on the encoder's width and start.
        iterations: so many with a number that is too small, less those with one that is not, end a run.  What
            is collapsed flickers: a mere streak would be broken by chance.
    """

    perplexity: float = Field(default=0.1, ge=0, lt=1)
    deviation: float = Field(default=0.05, ge=0, le=1)
    iterations: int = Field(default=1000, ge=1, le=1_000_000_000)


class Spread(NamedTuple):
    """How many clusters a batch makes use of.

    Attributes:
        perplexity: exp of the entropy of the assignments.
        most: what it could be at best.
    """

    perplexity: float
    most: float


def perplexity(counts: Float[Tensor, "cluster"]) -> Float[Tensor, ""]:
    """How many clusters are in use: exp of the entropy of how often each is.

    Args:
        counts: vectors in each cluster.

    Returns:
        1 if one has all, the number of clusters if all have as many; 1 if there are no vectors.

    Example:
        >>> perplexity(torch.tensor([5.0, 5.0, 0.0])).round(decimals=4), perplexity(torch.tensor([9.0, 0.0]))
        (tensor(2.), tensor(1.))
    """
    shares = counts / counts.sum().clamp(min=1)
    return torch.special.entr(shares).sum().exp()


def spreads(counts: Mapping[str, Float[Tensor, "cluster"]]) -> dict[str, Spread]:
    """The spread of each clustering.

    Example:
        >>> spreads({"summary": torch.tensor([2.0, 2.0, 0.0, 0.0, 0.0])})
        {'summary': Spread(perplexity=2.0, most=4.0)}
    """
    numbers = torch.stack([torch.stack([perplexity(count), count.sum()]) for count in counts.values()])
    return {
        name: Spread(used, min(float(len(counts[name])), vectors))
        for name, (used, vectors) in zip(counts, numbers.tolist(), strict=True)
    }


class CollapseDetector:
    """Counts for how many iterations something has been collapsed.

    Args:
        config: what is too small, and for how long.
        clusterings: their names.
        locations: whose vectors must differ.
        remedy: what the sentence advises.

    Example:
        >>> detector = CollapseDetector(Collapse(iterations=2), ["conv"], [])
        >>> bad = {"conv": Spread(1.2, 32.0)}
        >>> detector.look(bad, {}) is None
        True
        >>> detector.look(bad, {})
        'the features have collapsed: for 2 iterations more than not the perplexity of conv was below 4.1 ...'
    """

    def __init__(
        self,
        config: Collapse,
        clusterings: Sequence[str],
        locations: Sequence[str],
        remedy: str = "give the student a teacher of its own that follows slowly, a call for diversity, or a "
        "smaller rate; or allow it by objective.collapse",
    ) -> None:
        self.config, self.remedy = config, remedy
        names = [f"perplexity of {name}" for name in clusterings]
        self.bad = dict.fromkeys([*names, *(f"deviation of {name}" for name in locations)], 0)
        self.begun = dict.fromkeys(locations, math.nan)

    def look(self, clusterings: Mapping[str, Spread], deviations: Mapping[str, float]) -> str | None:
        """Look at an iteration.

        Args:
            clusterings: by name.
            deviations: of the vectors of a batch, by location.

        Returns:
            What has collapsed, as a sentence; None if nothing has.
        """
        for name, value in deviations.items():
            if math.isnan(self.begun[name]):
                self.begun[name] = value
        numbers = {
            f"perplexity of {name}": (spread.perplexity, 1 + self.config.perplexity * (spread.most - 1))
            for name, spread in clusterings.items()
            if spread.most > 1
        }
        numbers |= {
            f"deviation of {name}": (value, self.config.deviation * self.begun[name])
            for name, value in deviations.items()
        }
        for name, (value, least) in numbers.items():
            self.bad[name] = self.bad[name] + 1 if value < least else max(0, self.bad[name] - 1)
        worst = max(numbers, key=lambda name: self.bad[name], default=None)
        if worst is None or self.bad[worst] < self.config.iterations:
            return None
        return self._sentence(worst, *numbers[worst])

    def state(self) -> Int64[Tensor, "number"]:
        """What it remembers: 64-bit floats by their bits, as states hold no such floats."""
        return torch.tensor([*self.bad.values(), *self.begun.values()], dtype=torch.float64).view(torch.int64)

    def restore(self, state: Int64[Tensor, "number"]) -> None:
        """Remember it again."""
        kept = state.view(torch.float64).tolist()
        self.bad = {name: int(value) for name, value in zip(self.bad, kept, strict=False)}
        self.begun = dict(zip(self.begun, kept[len(self.bad) :], strict=True))

    def _sentence(self, name: str, value: float, least: float) -> str:
        return (
            f"the features have collapsed: for {self.config.iterations} iterations more than not the {name} "
            f"was below {least:.3g} (the last {value:.3g}); {self.remedy}"
        )
