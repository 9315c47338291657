"""Models as ONNX: the same tags, by another program, without torch."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from earmark.cli import main
from earmark.config import ConfigError
from earmark.encoders import AST, CRNN, DBERT, ClipStatistics, EncoderConfig, PaSST, ResidualCNN
from earmark.frontends import KaldiFbank, LogMel, RawWaveform
from earmark.inference.digest import weights_digest
from earmark.inference.onnx_ear import SHIPPED, open_onnx, stand_in
from earmark.inference.placing import ear_of
from earmark.inference.settings import EventSettings
from earmark.inference.streaming import find_events
from earmark.inference.tagging import tag
from earmark.labels import LabelSet
from earmark.models import Tagger, TaggerConfig, load, save
from earmark.models.heads import PoolingHead
from earmark.models.onnx import export_onnx
from earmark.onnx_file import KEY

onnx = pytest.importorskip("onnx", reason="onnx is not installed")
EXAMPLES = Path(__file__).parents[2] / "examples"
RATE = 32000
LABELS = LabelSet(names=("low", "middle", "high"))
SMALL = TaggerConfig(
    frontend=LogMel(n_mels=32, fmax_jitter=1),
    encoder=ResidualCNN(n_bands=32, widths=(16,), stem=8),
    head=PoolingHead(pooling="mean"),
    labels=LABELS,
    clip_seconds=0.5,
    padding="loop",
)
ALL = EventSettings(threshold=0.0, off_threshold=0.0)
RNG = np.random.default_rng(0)
SOUNDS = [
    (0.1 * RNG.normal(size=samples).astype(np.float32), RATE) for samples in (1, 700, 16000, 16001, 70000)
]


def made(config: TaggerConfig) -> Tagger:
    torch.manual_seed(0)
    return config.build().eval()


def command(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def exported(model: Tagger, out: Path, *more: str) -> subprocess.CompletedProcess[str]:
    """Export in a process of its own: torch traces with numbers that the tests' type checks refuse."""
    save(model, out.with_suffix(".safetensors"))
    verb = ["export", str(out.with_suffix(".safetensors")), "--out", str(out), *more]
    return subprocess.run([sys.executable, "-m", "earmark", *verb], capture_output=True, text=True)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as a checkpoint and as ONNX, and a sound."""
    folder = tmp_path_factory.mktemp("onnx")
    (folder / "sounds").mkdir()
    soundfile.write(folder / "sounds" / "noise.wav", SOUNDS[-1][0], RATE)
    (folder / "sounds" / "bad.wav").write_bytes(b"no sound")
    run = exported(made(SMALL), folder / "small.onnx", "--data", str(folder / "sounds"))
    assert run.returncode == 1, run.stderr
    assert "1 clips: the same best label for 1, largest difference of a probability" in run.stdout
    assert "bad.wav" in run.stderr
    (folder / "sounds" / "bad.wav").unlink()
    return folder


def test_sounds_of_any_length_get_the_same_tags_and_events(room: Path) -> None:
    model = load(room / "small.safetensors")
    for sound in SOUNDS:
        wanted, found = tag(sound, model=model), tag(sound, model=str(room / "small.onnx"))
        assert [one.label for one in found.tags] == [one.label for one in wanted.tags]
        assert np.allclose([t.score for t in found.tags], [t.score for t in wanted.tags], atol=1e-5)
    wanted, found = (
        find_events(SOUNDS[-1], model=one, settings=ALL) for one in (model, str(room / "small.onnx"))
    )
    assert len(found.events) == len(wanted.events) > 0
    assert np.allclose([one.onset for one in found.events], [one.onset for one in wanted.events], atol=1e-6)


def test_the_command_tags_without_torch(room: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from earmark.cli import main\n"
        "main(['tag', 'sounds', '--model', 'small.onnx', '--format', 'json', '--workers', '0'])"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=room, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    (row,) = json.loads(run.stdout)
    wanted = tag(str(room / "sounds" / "noise.wav"), model=str(room / "small.safetensors"))
    assert [one["label"] for one in row["tags"]] == [one.label for one in wanted.tags]


def test_the_shipped_file_is_of_the_shipped_weights() -> None:
    about = {entry.key: entry.value for entry in onnx.load(str(SHIPPED)).metadata_props}
    told = json.loads(about[KEY])
    assert told["weights"] == weights_digest("builtin"), (
        "new weights: `earmark export builtin --to onnx --out src/earmark/weights/builtin.onnx`"
    )
    assert told["precision"] == "fp32"


def test_the_shipped_file_tags_as_the_built_in_model_does() -> None:
    shipped, model = open_onnx(SHIPPED), load("builtin")
    wanted = ear_of(model)
    assert (shipped.labels, shipped.clip_seconds, shipped.padding) == (
        wanted.labels,
        wanted.clip_seconds,
        wanted.padding,
    )
    for sound in [*SOUNDS, str(EXAMPLES / "crow.flac")]:
        ours, theirs = tag(sound, model=str(SHIPPED)), tag(sound, model=model)
        assert ours.tags[0].label == theirs.tags[0].label
        assert np.allclose([t.score for t in ours.tags], [t.score for t in theirs.tags], atol=1e-3)


def test_the_first_tag_needs_no_torch() -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from earmark.cli import main\n"
        "main(['tag', 'crow.flac', '--format', 'json', '--workers', '0'])"
    )
    run = subprocess.run([sys.executable, "-c", program], cwd=EXAMPLES, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    (row,) = json.loads(run.stdout)
    assert row["tags"][0]["label"] == "Crow"


def test_only_what_the_shipped_file_computes_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert stand_in("builtin", "cpu", "fp32") == SHIPPED
    for asked in (("builtin", "cuda", "fp32"), ("builtin", "cpu", "int8"), ("mn10.as2m", "cpu", "fp32")):
        assert stand_in(*asked) is None
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert stand_in("builtin", "cpu", "fp32") is None


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_fewer_bits_are_nearly_the_same(precision: str, tmp_path: Path) -> None:
    model, out = made(SMALL), tmp_path / "small.onnx"
    assert exported(model, out, "--precision", precision).returncode == 0
    sound = SOUNDS[-1][0][None, :16000]
    found = open_onnx(out).clips.compute(sound)
    assert 0 < np.abs(found - ear_of(model).clips.compute(sound)).max() < 2e-2


@pytest.mark.slow
@pytest.mark.parametrize(
    "encoder",
    [
        PaSST(n_bands=32, max_frames=51, dim=24, depth=2, heads=3, short_input="first"),
        AST(n_bands=32, max_frames=51, dim=24, depth=2, heads=3),
        DBERT(
            convs=((16, 10, 5), (16, 8, 8)), width=24, depth=2, heads=3, position_groups=4, position_kernel=8
        ),
    ],
    ids=lambda encoder: encoder.kind,
)
def test_transformers_compute_the_same(encoder: EncoderConfig, tmp_path: Path) -> None:
    frontend = LogMel(n_mels=32, fmax_jitter=1)
    if encoder.kind == "AST":
        frontend = KaldiFbank(n_mels=32, length=51)
    if encoder.kind == "DBERT":
        frontend = RawWaveform()
    config = TaggerConfig(frontend=frontend, encoder=encoder, labels=LABELS, clip_seconds=0.5)
    model = made(config)
    run = exported(model, tmp_path / "model.onnx")
    assert run.returncode == 0, run.stderr
    ear, wanted = open_onnx(tmp_path / "model.onnx"), ear_of(model)
    for share in (0.4, 0.7, 1.0):
        sound = SOUNDS[-1][0][None, : int(share * 0.5 * model.sample_rate)]
        assert np.allclose(ear.clips.compute(sound), wanted.clips.compute(sound), atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("encoder", [ClipStatistics(n_bands=32), CRNN(n_bands=32)], ids=lambda one: one.kind)
def test_what_would_compute_something_else_is_never_written(encoder: EncoderConfig, tmp_path: Path) -> None:
    model, out = made(SMALL.replace(encoder=encoder)), tmp_path / "model.onnx"
    run = exported(model, out)
    if run.returncode:
        assert "ONNX" in run.stderr
        assert not out.exists()
    else:
        sound = SOUNDS[-1][0][None, :16000]
        assert np.allclose(open_onnx(out).clips.compute(sound), ear_of(model).clips.compute(sound), atol=1e-3)


def test_what_is_no_model_of_ours_is_one_sentence(room: Path, tmp_path: Path) -> None:
    bad = tmp_path / "bad.onnx"
    with pytest.raises(ConfigError, match=r"bad\.onnx: there is no such file"):
        tag(SOUNDS[1], model=str(bad))
    bad.write_bytes(b"no model")
    with pytest.raises(ConfigError, match=r"bad\.onnx: is no ONNX model that can be run"):
        tag(SOUNDS[1], model=str(bad))
    foreign = onnx.load(str(room / "small.onnx"))
    del foreign.metadata_props[:]
    onnx.save(foreign, str(bad))
    with pytest.raises(ConfigError, match=r"bad\.onnx: does not say what it hears"):
        tag(SOUNDS[1], model=str(bad))
    with pytest.raises(ConfigError, match="device 'mps' is not one"):
        tag(SOUNDS[1], model=str(room / "small.onnx"), device="mps")
    with pytest.raises(ConfigError, match="has no head"):
        export_onnx(made(SMALL.replace(head=None)), tmp_path / "headless.onnx")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("export", "builtin"), "give --out FILE.pt, or --to onnx"),
        (("export", "builtin", "--to", "onnx", "--out", "a.pt"), "must end in .onnx"),
        (("export", "builtin,builtin", "--to", "onnx"), "is an ensemble"),
        (("tag", "a.wav", "--model", "a.onnx", "--precision", "int8"), "computes as it was exported"),
    ],
)
def test_wrong_calls_are_told(
    arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(*arguments) == 2
    assert sentence in capsys.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_the_built_in_model_is_written_in_every_precision(precision: str, tmp_path: Path) -> None:
    out = tmp_path / "builtin.onnx"
    verb = ["export", "builtin", "--to", "onnx", "--out", str(out), "--precision", precision]
    run = subprocess.run([sys.executable, "-m", "earmark", *verb], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert tag(SOUNDS[-1], model=str(out)).tags[0].label == tag(SOUNDS[-1]).tags[0].label
