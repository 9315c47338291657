"""The HEAR modules: shapes, times, any length, and that nothing depends on the batch."""

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import earmark
from earmark.config import ConfigError
from earmark.encoders import DBERT, ClipStatistics, PaSST, ResidualCNN
from earmark.encoders.clusters import Clusters
from earmark.frontends import LogMel, RawWaveform
from earmark.hear.module import HearModel
from earmark.hear.windows import Grid, mirrored
from earmark.labels import LabelSet
from earmark.models import Tagger, TaggerConfig, save
from earmark.models.catalog import BY_NAME

NAMES = sorted(
    path.stem
    for path in (Path(earmark.__file__).parent / "hear").glob("*.py")
    if "\nload_model, get_scene_embeddings, get_timestamp_embeddings = module(" in path.read_text()
)
LABELS = LabelSet(names=("a", "b", "c"))
PASST = TaggerConfig(
    frontend=LogMel(hop_length=320),
    encoder=PaSST(max_frames=98, dim=24, depth=1, heads=3, short_input="first"),
    labels=LABELS,
    clip_seconds=0.98,
)
DBERT_SMALL = TaggerConfig(
    frontend=RawWaveform(),
    encoder=DBERT(
        convs=((16, 10, 5), (16, 8, 8), (16, 8, 8)),
        width=24,
        depth=3,
        heads=3,
        position_groups=4,
        position_kernel=8,
        clusters=Clusters(),
    ),
    head=None,
    clip_seconds=1.0,
)
CNN = TaggerConfig(
    frontend=LogMel(n_mels=64), encoder=ResidualCNN(widths=(8, 16), stem=8), labels=LABELS, clip_seconds=1.0
)
STATISTICS = CNN.replace(encoder=ClipStatistics())
OF_MODULE = {"dbert": DBERT_SMALL, "builtin": CNN, "model": STATISTICS, "psla": CNN, "mn04": CNN}


def module(name: str) -> Any:
    return import_module(f"earmark.hear.{name}")


def model_for(name: str, tmp_path: Path, **how: Any) -> HearModel:
    """A module's model with a small net in place of the published one, from a file."""
    torch.manual_seed(0)
    config = OF_MODULE.get(name, PASST)
    save(Tagger(config), tmp_path / "model.safetensors")
    return module(name).load_model(str(tmp_path / "model.safetensors"), **how)


def noise(sounds: int, seconds: float, rate: int) -> Tensor:
    draws = np.random.default_rng(0).uniform(-1, 1, (sounds, round(seconds * rate)))
    return torch.from_numpy(draws.astype(np.float32))


def test_every_published_module_is_here() -> None:
    wanted = {"passt", "passt_2level", "passt_2level_f", "passt_2level_mel", "passt_20sec", "passt_30sec"}
    wanted |= {f"passt_hop{hop}{kind}" for hop in (100, 160) for kind in ("", "_2level", "_2level_mel")}
    assert wanted | {"openmic", "dbert", "ast", "builtin", "model"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_what_a_module_loads_without_a_path_is_known(name: str) -> None:
    told = re.findall(r'= module\("([^"]+)", \w+\)', Path(str(module(name).__file__)).read_text())
    assert len(told) == 1
    assert told[0] == "builtin" or told[0] in BY_NAME


@pytest.mark.parametrize("name", NAMES)
def test_each_module_does_what_the_validator_checks(name: str, tmp_path: Path) -> None:
    here, model = module(name), model_for(name, tmp_path)
    for seconds in (1.07, 1.98, 4.0):
        found, times = here.get_timestamp_embeddings(noise(2, seconds, model.sample_rate), model)
        assert found.dtype == times.dtype == torch.float32
        assert found.shape == (2, times.shape[1], model.timestamp_embedding_size)
        spacing = times.diff(dim=1)
        assert spacing.max() - spacing.min() < 1
        assert spacing.max() <= 50
        assert times.max() <= 1000 * seconds
        assert times[0, 0] <= spacing.mean()
        assert times[0, -1] >= 1000 * seconds - 50
    scene = here.get_scene_embeddings(noise(4, 2.74, model.sample_rate), model)
    assert scene.shape == (4, model.scene_embedding_size)
    assert scene.dtype == torch.float32


@pytest.mark.parametrize("name", ["passt_2level_mel", "dbert", "builtin", "model"])
@pytest.mark.parametrize("samples", [1, 2, 500, 3000])
def test_any_length_from_one_sample_on_is_embedded(name: str, samples: int, tmp_path: Path) -> None:
    here, model = module(name), model_for(name, tmp_path)
    audio = noise(2, 1.0, model.sample_rate)[:, :samples]
    found, times = here.get_timestamp_embeddings(audio, model)
    assert bool(found.isfinite().all())
    assert found.shape[:2] == times.shape
    assert times.shape[1] >= 1
    assert bool(here.get_scene_embeddings(audio, model).isfinite().all())


@pytest.mark.parametrize("name", ["passt", "passt_2level_mel", "dbert", "builtin"])
def test_a_sound_is_embedded_alike_alone_and_among_others(name: str, tmp_path: Path) -> None:
    here, whole = module(name), model_for(name, tmp_path)
    small = model_for(name, tmp_path, batch=1)
    audio = noise(3, 2.3, whole.sample_rate)
    scene, (found, _) = here.get_scene_embeddings(audio, whole), here.get_timestamp_embeddings(audio, whole)
    for index in range(3):
        one = audio[index : index + 1]
        torch.testing.assert_close(here.get_scene_embeddings(one, small)[0], scene[index], atol=1e-4, rtol=0)
        again = here.get_timestamp_embeddings(one, small)[0][0]
        torch.testing.assert_close(again, found[index], atol=1e-4, rtol=0)


def test_a_windows_embedding_is_that_of_the_window_alone(tmp_path: Path) -> None:
    """In the middle of a clip nothing is reflected: the network hears 160 ms and no more."""
    here, model = module("passt"), model_for("passt", tmp_path)
    audio = noise(1, 1.0, 32000)
    found, times = here.get_timestamp_embeddings(audio, model)
    center = round(float(times[0, 10]) * 32)
    with torch.inference_mode():
        logits, encoding = model.network.both(audio[:, center - 2560 : center + 2560])
    torch.testing.assert_close(found[:, 10], torch.cat([logits, encoding.summary], 1), atol=1e-5, rtol=1e-5)


def test_times_of_dbert_do_not_drift_and_no_frame_is_lost_between_chunks(tmp_path: Path) -> None:
    here = module("dbert")
    model = model_for("dbert", tmp_path, chunk_minutes=0.05)
    audio = noise(1, 20.0, 16000)
    found, times = here.get_timestamp_embeddings(audio, model)
    stride, field = 320, model.network.config.encoder.min_frames
    assert times.shape[1] == 1 + (audio.shape[1] - field) // stride
    expected = (field / 2 + stride * torch.arange(times.shape[1], dtype=torch.float64)) / 16
    torch.testing.assert_close(times[0].double(), expected, atol=0.01, rtol=0)
    frames = found[0, :, 24:]
    conv_alone = model_for("dbert", tmp_path, chunk_minutes=3.0)
    together = here.get_timestamp_embeddings(audio, conv_alone)[0][0, :, 24:]
    assert frames.shape == together.shape


def test_a_step_in_loudness_is_found_at_its_time(tmp_path: Path) -> None:
    """Frames near each point in time: what follows a step differs from what comes before, from there on."""
    here, model = module("builtin"), model_for("builtin", tmp_path)
    audio = noise(1, 3.0, 32000)
    audio[:, : 32000 + 16000] *= 1e-4
    found, times = here.get_timestamp_embeddings(audio, model)
    jump = (found[0, 1:] - found[0, :-1]).norm(dim=1).argmax()
    assert abs(float(times[0, jump]) - 1500) <= 200


def test_wrong_models_and_wrong_audio_are_sentences(tmp_path: Path) -> None:
    save(Tagger(CNN), tmp_path / "cnn.safetensors")
    with pytest.raises(ConfigError, match=r"the encoder is a ResidualCNN; earmark\.hear\.dbert is dBERT's"):
        module("dbert").load_model(str(tmp_path / "cnn.safetensors"))
    slow = CNN.frontend.replace(sample_rate=8000, fmax=4000.0)
    save(Tagger(CNN.replace(frontend=slow)), tmp_path / "8k.safetensors")
    with pytest.raises(ConfigError, match="allows 16000, 22050"):
        module("model").load_model(str(tmp_path / "8k.safetensors"))
    save(Tagger(PASST.replace(head=None)), tmp_path / "headless.safetensors")
    with pytest.raises(ConfigError, match="no head; take 'embedding'"):
        module("passt").load_model(str(tmp_path / "headless.safetensors"))
    model = model_for("builtin", tmp_path)
    for audio in (torch.zeros(2, 0), torch.zeros(0, 9)):
        with pytest.raises(ValueError, match="give sounds x samples of float32"):
            module("builtin").get_scene_embeddings(audio, model)
    with pytest.raises(ValueError, match="not finite"):
        module("builtin").get_scene_embeddings(torch.full((1, 9), torch.nan), model)


@pytest.mark.parametrize("precision", ["bf16", "int8"])
@pytest.mark.parametrize("name", ["passt", "dbert"])
def test_modules_load_in_fewer_bits(name: str, precision: str, tmp_path: Path) -> None:
    here, model = module(name), model_for(name, tmp_path, precision=precision)
    audio, exact = noise(2, 1.5, model.sample_rate), model_for(name, tmp_path)
    found, wanted = here.get_scene_embeddings(audio, model), here.get_scene_embeddings(audio, exact)
    assert float((found - wanted).norm() / wanted.norm()) < 0.1


def test_times_do_not_drift_at_a_rate_that_50_ms_do_not_divide(tmp_path: Path) -> None:
    """At 22,050 Hz a point in time is 1102.5 samples behind the last."""
    slow = PASST.frontend.replace(sample_rate=22050, fmax=10000.0)
    save(Tagger(PASST.replace(frontend=slow)), tmp_path / "model.safetensors")
    model = module("passt").load_model(str(tmp_path / "model.safetensors"))
    times = model.embedder.times(3600 * 22050)
    assert len(times) == 72_001
    assert times[-1] == 3600
    assert Grid(20, 22050).at(len(times) - 1) == 3600 * 22050


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"mode": "embed_only"}, "mode is 'embed_only'; give one of all, embedding, logits"),
        ({"windows": (0.0,)}, r"windows are \(0.0,\); give one or more lengths"),
        ({"windows": (3.0,)}, "up to the model's 0.98"),
        ({"scene_hop": 0.0}, "scene_hop is 0.0"),
    ],
)
def test_settings_that_make_no_sense_are_sentences(how: dict[str, Any], words: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=words):
        model_for("passt", tmp_path, **how)


def test_short_clips_are_reflected_as_numpy_does() -> None:
    for n_samples in (1, 2, 3, 7):
        ours = mirrored(torch.arange(-9, n_samples + 11), n_samples)
        theirs = np.pad(np.arange(n_samples), (9, 11), mode="reflect")
        assert ours.tolist() == theirs.tolist()


def test_several_layers_stand_behind_one_another(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    torch.manual_seed(0)
    save(CNN.build(), path)
    builtin, audio = module("builtin"), torch.randn(2, 40_000) * 0.1
    places = ["bands", 0, "end"]
    several = builtin.load_model(str(path), layer=places, pool="mean")
    alone = [builtin.load_model(str(path), layer=[place], pool="mean") for place in places]
    for embed in (builtin.get_scene_embeddings, lambda *both: builtin.get_timestamp_embeddings(*both)[0]):
        assert torch.equal(embed(audio, several), torch.cat([embed(audio, one) for one in alone], dim=-1))
    assert several.timestamp_embedding_size == sum(one.timestamp_embedding_size for one in alone)
