"""Embeddings of sounds of any length, from files: memory does not grow with them."""

from collections.abc import Iterator

import torch
from jaxtyping import Float

from earmark.audio import Source, stream
from earmark.audio.mono import OnTruncated
from earmark.hear.embedder import Timed
from earmark.hear.module import HearModel
from earmark.hear.rolling import Rolling


@torch.no_grad()
def scene_embedding_of(
    source: Source, model: HearModel, on_truncated: OnTruncated = "error"
) -> Float[torch.Tensor, "dim"]:
    """The vector of a sound that is read block by block: that of `get_scene_embeddings`.

    Args:
        source: a path, bytes, an open file, or `(samples, sample_rate)`; of any rate.
        model: what `load_model` gave.
        on_truncated: `error` refuses a damaged or cut file; `keep` hears what decodes.

    Returns:
        float32, on the device of the model.

    Raises:
        AudioError: the source cannot be heard.

    Example:
        >>> from earmark.hear import builtin
        >>> scene_embedding_of((torch.zeros(48000).numpy(), 16000), builtin.load_model()).ndim
        1
    """
    model.eval()
    return model.embedder.scene_of(_sound(source, model, on_truncated), model.batch)


def timestamp_embeddings_of(
    source: Source, model: HearModel, on_truncated: OnTruncated = "error"
) -> Iterator[Timed]:
    """The vectors of the points in time of a sound that is read block by block, a few at a time.

    All of them together are those of `get_timestamp_embeddings`; what is in memory does not grow with the
    sound.

    Args:
        source: as for `scene_embedding_of`.
        model: what `load_model` gave.
        on_truncated: as for `scene_embedding_of`.

    Returns:
        Pairs of times, in seconds and double precision, and embeddings on the device of the model.

    Raises:
        AudioError: the source cannot be heard; raised where the fault lies.

    Example:
        >>> from earmark.hear import builtin
        >>> found = timestamp_embeddings_of((torch.zeros(48000).numpy(), 16000), builtin.load_model())
        >>> times = torch.cat([times for times, _ in found])
        >>> len(times), float(times[-1])
        (61, 3.0)
    """
    model.eval()
    parts = model.embedder.timestamps_of(_sound(source, model, on_truncated), model.batch)
    while True:
        with torch.no_grad():  # not across the yield: there the caller computes
            part = next(parts, None)
        if part is None:
            return
        yield part


def _sound(source: Source, model: HearModel, on_truncated: OnTruncated) -> Rolling:
    blocks = stream(source, model.sample_rate, on_truncated=on_truncated)
    device = next(model.network.parameters()).device
    return Rolling((torch.tensor(block) for block in blocks), device)
