"""One model from several checkpoints of a run: the mean of their weights."""

import os
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor

from earmark.config import ConfigError
from earmark.models import Tagger, read_header
from earmark.models.checkpoint import load_checkpoint
from earmark.models.zoo import resolve


def average_weights(checkpoints: Sequence[str | os.PathLike[str]]) -> tuple[Tagger, dict[str, Any]]:
    """The model whose weights are the mean of those of several checkpoints.

    Sums are in float64.  Running statistics of batch norms are averaged like weights; whole numbers, such as
    the number of batches that they have seen, are those of the last checkpoint.

    Args:
        checkpoints: names, files or run folders of earmark's own models, two or more.

    Returns:
        The model, in evaluation mode, and the last checkpoint's provenance with `averaged`: which those were.

    Raises:
        ConfigError: fewer than two, or they are not of the same description.
        CheckpointError: one cannot be read.

    Source:
        AST and PSLA average the checkpoints of the last epochs.  Deviation: PSLA's routine counts the first
        of them twice; give it twice to get that.
    """
    if len(checkpoints) < 2:
        raise ConfigError(f"{len(checkpoints)} checkpoints cannot be averaged; give two or more")
    paths = [resolve(one) for one in checkpoints]
    headers = [read_header(path) for path in paths]
    for name, header in zip(checkpoints, headers, strict=True):
        if header.config != headers[0].config:
            theirs, ours = header.config.to_dict(), headers[0].config.to_dict()
            parts = ", ".join(key for key in ours if ours[key] != theirs[key])
            raise ConfigError(
                f"{os.fspath(name)} is described otherwise than {os.fspath(checkpoints[0])}, in its "
                f"{parts}; weights can be "
                "averaged only between checkpoints of one model: average predictions instead, with "
                "`earmark evaluate A B`"
            )
    model = load_checkpoint(paths[-1])
    sums = {name: tensor.double() for name, tensor in _numbers(model)}
    for path in paths[:-1]:
        for name, tensor in _numbers(load_checkpoint(path)):
            sums[name] += tensor.double()
    means = {name: (total / len(paths)).float() for name, total in sums.items()}
    model.load_state_dict(model.state_dict() | means)
    digests = [header.digest for header in headers]
    return model.eval(), headers[-1].provenance | {"averaged": digests}


def _numbers(model: Tagger) -> Iterator[tuple[str, Tensor]]:
    """The tensors of a model that are no whole numbers."""
    return ((name, tensor) for name, tensor in model.state_dict().items() if tensor.is_floating_point())
