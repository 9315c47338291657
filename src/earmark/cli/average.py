"""`earmark average`: one model from several checkpoints."""

from pathlib import Path


def average(checkpoints: list[str], /, *, out: Path) -> int:
    """Average the weights of checkpoints of one model, such as those of a run's last epochs.

    To average what different models say, name several of them behind `earmark evaluate`, or with commas
    between behind `earmark tag --model`.

    Args:
        checkpoints: names, files or run folders, two or more, all of one description.
        out: the checkpoint to write.
    """
    from earmark.audio import displayable
    from earmark.config import ConfigError
    from earmark.evaluation.averaging import average_weights
    from earmark.models import save

    if out.suffix != ".safetensors":
        raise ConfigError(f"--out {displayable(out)!r} must end in .safetensors: it becomes a checkpoint")
    model, provenance = average_weights(checkpoints)
    save(model, out, provenance)
    return 0
