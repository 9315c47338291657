"""Several models that are heard as one."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import soxr
import torch
from jaxtyping import Float
from torch import Tensor, nn

from earmark.audio import pad
from earmark.config import ConfigError
from earmark.encoders import Encoding
from earmark.labels import LabelSet
from earmark.models.tagger import Tagger


class Ensemble(nn.Module):
    """The mean of the logits of several models with the same labels.

    Members may differ in front end, rate and encoder.  Audio comes at the highest of their rates; a window is
    resampled once for each lower rate, and a front end that several members share computes once.

    Args:
        members: two models or more, whose labels have the same names in the same order.

    Raises:
        ConfigError: fewer than two members, one without a head, or other labels.

    Source:
        The published ensembles of PaSST (arXiv:2110.05069, table 2) average logits.  Deviation: members may
        have other clip lengths and rates; windows have the length of the shortest member's clip, and each
        member pads shorter ones by its own rule.  A window resampled by itself differs from the resampled
        whole file within some 10 ms of its ends.

    Example:
        >>> from earmark.models import load
        >>> both = Ensemble([load("builtin"), load("builtin")]).eval()
        >>> waveform = torch.zeros(1, 16000)
        >>> bool(torch.equal(both(waveform), load("builtin")(both.members[0].padded(waveform))))
        True
    """

    def __init__(self, members: Sequence[Tagger]) -> None:
        super().__init__()
        _check(members)
        self.members = nn.ModuleList(members)

    @property
    def _taggers(self) -> list[Tagger]:
        return [member for member in self.members if isinstance(member, Tagger)]

    @property
    def labels(self) -> LabelSet:
        """What the logits are called."""
        return self._taggers[0].labels

    @property
    def sample_rate(self) -> int:
        """The rate that waveforms must have, in Hz: the highest of the members'."""
        return max(member.sample_rate for member in self._taggers)

    @property
    def min_samples(self) -> int:
        """The shortest waveform: members pad by themselves."""
        return 1

    @property
    def clip_seconds(self) -> float:
        """Length of the windows that longer audio is cut into."""
        return min(member.clip_seconds for member in self._taggers)

    @property
    def padding(self) -> Literal["none", "zeros", "loop"]:
        """How a shorter sound is padded before it comes here: not at all."""
        return "none"

    @property
    def has_head(self) -> bool:
        """Whether there are logits."""
        return True

    @property
    def embedding_dim(self) -> int:
        """Width of the summary: those of the members, one after the other."""
        return sum(member.embedding_dim for member in self._taggers)

    def forward(self, waveform: Float[Tensor, "batch sample"]) -> Float[Tensor, "batch class"]:
        """Mean logits of waveforms at `sample_rate`, full scale +-1."""
        return self.both(waveform)[0]

    def both(self, waveform: Float[Tensor, "batch sample"]) -> tuple[Float[Tensor, "batch class"], Encoding]:
        """Mean logits, and an encoding whose summary joins those of the members; it has no frames."""
        features: dict[object, Tensor] = {}
        logits: list[Tensor] = []
        summaries: list[Tensor] = []
        for member in self._taggers:
            heard = member.padded(_resampled(waveform, self.sample_rate, member.sample_rate))
            key = (member.config.frontend.to_json(), heard.shape[1])
            if key not in features:
                features[key] = member.frontend(heard)
            encoding = member.encoder(features[key])
            logits.append(member.classify(encoding).float())
            summaries.append(encoding.summary.float())
        nothing = waveform.new_zeros(len(waveform), 0, 0)
        return torch.stack(logits).mean(dim=0), Encoding(nothing, torch.cat(summaries, dim=1))

    def probabilities(self, logits: Float[Tensor, "*batch class"]) -> Float[Tensor, "*batch class"]:
        """Softmax where one label excludes the others, a sigmoid for each where not."""
        return self._taggers[0].probabilities(logits)


def _check(members: Sequence[Tagger]) -> None:
    if len(members) < 2:
        raise ConfigError(f"an ensemble of {len(members)} models; give two or more")
    first = members[0].labels
    for number, member in enumerate(members, start=1):
        if not member.has_head:
            raise ConfigError(f"member {number} has no head, so it has no logits to average; leave it out")
        if (member.labels.names, member.labels.exclusive) != (first.names, first.exclusive):
            raise ConfigError(
                f"member {number} has {len(member.labels)} labels that are not the {len(first)} of member 1; "
                "an ensemble averages logits of the same labels in the same order"
            )


def _resampled(waveform: Float[Tensor, "batch sample"], rate: int, wanted: int) -> Float[Tensor, "batch _"]:
    """Each row at another rate, at least one sample long."""
    if rate == wanted:
        return waveform
    rows = [soxr.resample(row, rate, wanted, quality="HQ") for row in waveform.cpu().numpy()]
    return torch.from_numpy(np.stack([pad(row, 1, "zeros") for row in rows])).to(waveform)
