"""The published curves of the rate, as functions of the epoch, which may be a fraction.

Source:
    `helpers/ramp.py` of PaSST's training code; agree with recorded values.
"""

import math


def exp_rampup(epoch: int | float, length: int) -> float:
    """A rise to 1 over `length` epochs by a Gaussian's flank; the first half epoch is level.

    Example:
        >>> round(exp_rampup(0, 5), 4), exp_rampup(5, 5)
        (0.0174, 1.0)
    """
    if epoch >= length:
        return 1.0
    return math.exp(-5.0 * (1.0 - min(max(epoch, 0.5), length) / length) ** 2)


def linear_rampup(epoch: int | float, length: int) -> float:
    """A straight rise from 0 to 1 over `length` epochs.

    Example:
        >>> linear_rampup(2.5, 10), linear_rampup(11, 10)
        (0.25, 1.0)
    """
    return epoch / length if epoch < length else 1.0


def pseudo_rampup(epoch: int | float, first: int, last: int) -> float:
    """0 until the first epoch, 1 after the last, a straight line between.

    Example:
        >>> pseudo_rampup(10, 10, 40), pseudo_rampup(25, 10, 40), pseudo_rampup(40, 10, 40)
        (0.0, 0.5, 1.0)
    """
    if epoch > last:
        return 1.0
    return (epoch - first) / (last - first) if epoch > first else 0.0


def linear_rampdown(epoch: int | float, length: int, start: int, last: float) -> float:
    """1 until `start`, a straight fall to `last` over `length` epochs, then `last`.

    Example:
        >>> [linear_rampdown(epoch, 50, 50, 0.0) for epoch in (50, 75, 200)]
        [1.0, 0.5, 0.0]
    """
    if epoch <= start:
        return 1.0
    if epoch - start >= length:
        return last
    return last + (1.0 - last) * (length - epoch + start) / length


def exp_warmup_linear_down(epoch: int | float, rise: int, fall: int, start: int, last: float) -> float:
    """`exp_rampup` over `rise` epochs times `linear_rampdown` over `fall` epochs from `start`.

    Example:
        >>> round(exp_warmup_linear_down(3, 5, 50, 50, 0.01), 4)
        0.4493
    """
    return exp_rampup(epoch, rise) * linear_rampdown(epoch, fall, start, last)


def cosine_rampdown(epoch: int | float, length: int, epochs: int) -> float:
    """A quarter of a cosine's period in the last `length` epochs: it ends at one half.

    Example:
        >>> cosine_rampdown(90, 30, 120), round(cosine_rampdown(120, 30, 120), 2)
        (1.0, 0.5)
    """
    past = 0.5 * (epoch - (epochs - length))
    return 0.5 * (math.cos(math.pi * past / length) + 1.0) if past >= 0 else 1.0


def exp_rampdown(epoch: int | float, length: int, epochs: int) -> float:
    """A fall by a Gaussian's flank in the last `length` epochs.

    Example:
        >>> exp_rampdown(80, 40, 120), round(exp_rampdown(100, 40, 120), 4)
        (1.0, 0.0821)
    """
    past = 0.5 * (epoch - (epochs - length))
    return math.exp(-past * past / length) if past >= 0 else 1.0


def exp_warmup(epoch: int | float, rise: int, fall: int, epochs: int) -> float:
    """`exp_rampup` over `rise` epochs times `exp_rampdown` over the last `fall`.

    Example:
        >>> exp_warmup(60, 20, 40, 120)
        1.0
    """
    return exp_rampup(epoch, rise) * exp_rampdown(epoch, fall, epochs)


def cosine_cycle(epoch: int | float, cycle: int, start: int, last: float) -> float:
    """Whole cosines between `last` and 1, then `last`.

    The cycles go on to the first whole number of them that is not before `start`.

    Example:
        >>> cosine_cycle(10, 20, 100, 0.01), round(cosine_cycle(20, 20, 100, 0.01), 4)
        (1.0, 0.01)
    """
    stop = cycle + (start - 1) // cycle * cycle
    if epoch > stop:
        return last
    return last + (1.0 - last) * 0.5 * (1.0 + math.cos(2.0 * math.pi * (epoch + cycle // 2) / cycle))
