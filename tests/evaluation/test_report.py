from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from earmark.config import ConfigError
from earmark.data import Clip
from earmark.encoders import ResidualCNN
from earmark.evaluation import evaluate
from earmark.frontends import LogMel
from earmark.labels import LabelSet
from earmark.models import Tagger, TaggerConfig

LABELS = LabelSet(names=("Music", "Piano", "Harp"))


@pytest.fixture
def always_music() -> Tagger:
    """A model that answers Music, then Piano, then Harp, whatever it hears."""
    config = TaggerConfig(
        frontend=LogMel(n_mels=32, fmax_jitter=1),
        encoder=ResidualCNN(n_bands=32, widths=(4,), stem=4),
        labels=LABELS,
        clip_seconds=0.2,
        padding="loop",
    )
    model = config.build()
    with torch.no_grad():
        model.head.linear.weight.zero_()
        model.head.linear.bias.copy_(torch.tensor([3.0, 1.0, -2.0]))
    return model


def clip(folder: Path, name: str, *labels: str) -> Clip:
    soundfile.write(folder / name, np.zeros(6400), 32000)
    return Clip(folder / name, labels)


def test_a_class_is_found_only_where_its_own_rank_says_so(tmp_path: Path, always_music: Tagger) -> None:
    clips = [clip(tmp_path, "a.wav", "Music", "Harp"), clip(tmp_path, "b.wav", "Music", "Piano")]
    report = evaluate(always_music, clips, LABELS)
    found = {row.label: row.found for row in report.classes}
    assert found == {"Music": 1.0, "Piano": 1.0, "Harp": 0.0}
    assert report.top1 == 1.0


def test_a_clip_that_cannot_be_heard_counts_as_wrong_and_is_named(
    tmp_path: Path, always_music: Tagger
) -> None:
    clips = [clip(tmp_path, "a.wav", "Music"), Clip(tmp_path / "gone.wav", ("Music",))]
    report = evaluate(always_music, clips, LABELS)
    assert report.top1 == 0.5
    assert "gone.wav" in report.failed[0]


def test_without_clips_there_is_no_figure(always_music: Tagger) -> None:
    with pytest.raises(ConfigError, match="no held-out clips"):
        evaluate(always_music, [], LABELS)
