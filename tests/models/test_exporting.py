"""Models as their authors' programs read them, and back."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

import earmark
from earmark.cli import main
from earmark.config import ConfigError
from earmark.encoders import DBERT, MN, PaSST, ResidualCNN
from earmark.encoders.clusters import Clusters
from earmark.frontends import LogMel, RawWaveform
from earmark.labels import audioset_labels
from earmark.models import LinearHead, Tagger, TaggerConfig, save
from earmark.models.exporting import export_published
from earmark.models.heads import MlpHead

SMALL_DBERT = DBERT(
    convs=((16, 10, 5), (16, 8, 4)), width=32, depth=2, heads=2, position_kernel=4, clusters=Clusters()
)
PASST = PaSST(max_frames=998, dim=128, depth=2, heads=2)
MODELS = {
    "dBERT": TaggerConfig(frontend=RawWaveform(), encoder=SMALL_DBERT, head=None),
    "PaSST": TaggerConfig(
        frontend=LogMel(), encoder=PASST, head=LinearHead(carry_distillation=True), labels=audioset_labels()
    ),
    "EfficientAT": TaggerConfig(
        frontend=LogMel(), encoder=MN(width=0.4), head=MlpHead(hidden=512), labels=audioset_labels()
    ),
}


def said(model: Tagger) -> Tensor:
    """What a model gives for a sound of 10 s."""
    waveform = torch.sin(torch.arange(10 * model.sample_rate) * 0.3)[None]
    with torch.inference_mode():
        features = model.frontend(waveform)
        return model(waveform) if model.head is not None else model.encoder(features).summary


@pytest.mark.parametrize("name", list(MODELS))
def test_what_is_exported_is_recognized_and_says_the_same(name: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = Tagger(MODELS[name]).eval()
    family = export_published(model, tmp_path / "x.pt")
    assert name in family
    torch.testing.assert_close(said(earmark.load(tmp_path / "x.pt")), said(model))
    assert torch.load(tmp_path / "x.pt", weights_only=True)


def test_the_command_writes_the_dictionary_of_audio_dbert(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save(Tagger(MODELS["dBERT"]), tmp_path / "model.safetensors")
    with pytest.raises(SystemExit) as ended:
        main(["export", str(tmp_path / "model.safetensors"), "--out", str(tmp_path / "dbert.pt")])
    assert ended.value.code == 0
    assert "as dBERT is published" in capsys.readouterr().out
    held = torch.load(tmp_path / "dbert.pt", weights_only=True)
    assert set(held) == {"cfg_yaml_string", "model_state_dict"}


def test_what_no_published_program_reads_is_a_sentence(tmp_path: Path) -> None:
    own = Tagger(MODELS["PaSST"].replace(encoder=ResidualCNN(n_bands=128), head=LinearHead()), hollow=True)
    with pytest.raises(ConfigError, match=r"no published family has names for the encoder ResidualCNN"):
        export_published(own, tmp_path / "x.pt")
    with pytest.raises(ConfigError, match=r"'x.safetensors' must end in .pt or .pth"):
        export_published(own, tmp_path / "x.safetensors")
    assert not list(tmp_path.iterdir())
