import json
import os
import struct
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from earmark.config import ConfigError
from earmark.encoders import PaSST, ResidualCNN
from earmark.frontends import LogMel
from earmark.labels import LabelSet
from earmark.models import CheckpointError, Tagger, TaggerConfig, load, read_header, save
from earmark.models.checkpoint import is_ours
from earmark.models.zoo import resolve

CNN = TaggerConfig(
    frontend=LogMel(n_mels=64),
    encoder=ResidualCNN(widths=(4, 8), stem=4),
    labels=LabelSet(names=("Dog", "Rain", "Oud ☂")),
    clip_seconds=1.0,
)
PASST = CNN.replace(encoder=PaSST(n_bands=64, max_frames=120, dim=24, depth=2, heads=3))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    save(CNN.build(), tmp_path / "model.safetensors", provenance={"epoch": 3})
    return tmp_path / "model.safetensors"


def logits(model: Tagger) -> torch.Tensor:
    with torch.inference_mode():
        return model.eval()(torch.randn(2, 32000, generator=torch.Generator().manual_seed(1)))


@pytest.mark.parametrize("config", [CNN, PASST], ids=["cnn", "passt"])
def test_a_model_comes_back_bit_for_bit(config: TaggerConfig, tmp_path: Path) -> None:
    model = config.build()
    save(model, tmp_path / "m.safetensors")
    again = load(tmp_path / "m.safetensors")
    assert again.config == config
    assert torch.equal(logits(model), logits(again))
    assert all(parameter.requires_grad for parameter in again.parameters())


def test_a_fine_tuning_step_works_on_a_loaded_model(saved: Path) -> None:
    model = load(saved).train()
    before = model.head.linear.weight.clone()
    model(torch.randn(2, 32000)).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert not torch.equal(before, model.head.linear.weight)


def test_half_precision_files_are_half_as_large_and_read_back_as_float32(tmp_path: Path) -> None:
    model = PASST.build()
    save(model, tmp_path / "full.safetensors")
    save(model, tmp_path / "half.safetensors", dtype=torch.float16)
    sizes = [(tmp_path / name).stat().st_size for name in ("half.safetensors", "full.safetensors")]
    assert sizes[0] < 0.6 * sizes[1]
    again = load(tmp_path / "half.safetensors")
    assert {t.dtype for t in again.state_dict().values() if t.is_floating_point()} == {torch.float32}
    torch.testing.assert_close(logits(again), logits(model), atol=0.02, rtol=0.02)


def test_the_header_is_read_without_the_weights(saved: Path) -> None:
    header = read_header(saved)
    assert header.config == CNN
    assert header.provenance == {"epoch": 3}
    assert header.shapes["head.linear.weight"] == (3, 16)


def test_a_run_folder_is_a_model(saved: Path) -> None:
    assert resolve(saved.parent) == saved


def test_an_unknown_name_suggests_the_right_one() -> None:
    with pytest.raises(ConfigError, match="did you mean 'builtin'"):
        load("buildin")


def test_nan_weights_are_never_written(tmp_path: Path) -> None:
    model = CNN.build()
    with torch.no_grad():
        model.head.linear.bias[0] = float("nan")
    with pytest.raises(CheckpointError, match="NaN or infinite"):
        save(model, tmp_path / "m.safetensors")
    assert list(tmp_path.iterdir()) == []


def test_weights_too_large_for_half_precision_are_never_written(tmp_path: Path) -> None:
    model = CNN.build()
    with torch.no_grad():
        model.head.linear.bias[0] = 1e6
    with pytest.raises(CheckpointError, match="infinite"):
        save(model, tmp_path / "m.safetensors", dtype=torch.float16)


def rewrite(path: Path, change: Any) -> None:
    """Change the header's tree, or its raw text, and keep the weights."""
    blob = path.read_bytes()
    (length,) = struct.unpack("<Q", blob[:8])
    header = change(json.loads(blob[8 : 8 + length]))
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + blob[8 + length :])


def set_config(tree: dict[str, Any], path: str, value: Any) -> dict[str, Any]:
    config = json.loads(tree["__metadata__"]["config"])
    node = config
    *parents, leaf = path.split(".")
    for name in parents:
        node = node[name]
    node[leaf] = value
    tree["__metadata__"]["config"] = json.dumps(config)
    return tree


def without(tree: dict[str, Any], name: str) -> dict[str, Any]:
    del tree[name]
    return tree


DAMAGES: dict[str, tuple[Any, str]] = {
    "no metadata": (lambda t: without(t, "__metadata__"), "no model that earmark knows"),
    "metadata that is no table": (lambda t: t | {"__metadata__": [1]}, "no table of texts"),
    "metadata of numbers": (lambda t: t | {"__metadata__": {"format": 1}}, "no table of texts"),
    "a word that is not known": (
        lambda t: t | {"__metadata__": t["__metadata__"] | {"digesu": "x"}},
        "holds 'digesu'",
    ),
    "another digest": (
        lambda t: t | {"__metadata__": t["__metadata__"] | {"digest": "0" * 64}},
        "its digest is not that of what it holds",
    ),
    "another label": (lambda t: set_config(t, "labels.names", ["Dog", "Ram", "Oud ☂"]), "its digest is not"),
    "another provenance": (
        lambda t: t | {"__metadata__": t["__metadata__"] | {"provenance": '{"epoch": 4}'}},
        "its digest is not",
    ),
    "another format": (lambda t: t | {"__metadata__": {"format": "earmark-99"}}, "not an earmark checkpoint"),
    "an unknown encoder": (lambda t: set_config(t, "encoder.kind", "Tinfoil"), "cannot be built"),
    "an unknown field": (lambda t: set_config(t, "encoder.dept", 3), "dept"),
    "a giant encoder": (lambda t: set_config(t, "encoder.blocks", 10**9), "less than or equal"),
    "another width": (lambda t: set_config(t, "encoder.stem", 5), "do not fit the description"),
    "one label more": (
        lambda t: set_config(t, "labels.names", ["a", "b", "c", "d"]),
        "head.linear.weight is",
    ),
    "a tensor missing": (lambda t: without(t, "head.linear.bias"), "leave holes"),
    "tensors that share their bytes": (
        lambda t: t | {"head.linear.bias": t["head.linear.weight"]},
        "overlap",
    ),
    "a size that is true": (
        lambda t: t | {"head.linear.bias": t["head.linear.bias"] | {"shape": [True, 3]}},
        "damaged",
    ),
    "a shape of many axes": (
        lambda t: t | {"head.linear.bias": t["head.linear.bias"] | {"shape": [3] + [1] * 9}},
        "damaged",
    ),
    "an empty tensor of giant sides": (
        lambda t: t | {"x": {"dtype": "F32", "shape": [0, 2**35, 2**35], "data_offsets": [0, 0]}},
        "damaged",
    ),
    "a tensor renamed": (
        lambda t: {("x" if k == "head.linear.bias" else k): v for k, v in t.items()},
        "x is unknown",
    ),
    "a negative shape": (
        lambda t: t | {"head.linear.bias": t["head.linear.bias"] | {"shape": [-3]}},
        "damaged",
    ),
    "offsets past the end": (
        lambda t: t | {"head.linear.bias": t["head.linear.bias"] | {"data_offsets": [0, 10**9]}},
        "damaged",
    ),
    "a foreign type": (
        lambda t: t | {"head.linear.bias": t["head.linear.bias"] | {"dtype": "F64"}},
        "of a type other",
    ),
    "provenance that is no table": (
        lambda t: t | {"__metadata__": t["__metadata__"] | {"provenance": "[1]"}},
        "provenance",
    ),
    "no JSON": (lambda t: b"{" * 50, "header is damaged"),
    "deep JSON": (lambda t: b"[" * 200_000, "header is damaged"),
    "a name twice": (lambda t: json.dumps(t).encode()[:-1] + b', "head.linear.bias": {}}', "stands twice"),
    "a list": (lambda t: b"[]", "no table of names"),
    "a long list": (lambda t: b"[" + b"1," * 2_000_000 + b"1]", "header of more than"),
    "twenty thousand tensors": (
        lambda t: (
            t | {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(20_001)}
        ),
        "200\\d\\d tensors",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_one_sentence(damage: str, saved: Path) -> None:
    change, words = DAMAGES[damage]
    rewrite(saved, change)
    with pytest.raises(CheckpointError, match=words) as caught:
        load(saved)
    assert str(saved) in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"\x00" * 7, b"\x80\x04cos\nsystem\n", b"PK\x03\x04" + b"\0" * 100])
def test_what_is_no_checkpoint_at_all_is_one_sentence(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"not a safetensors file|does not end as one"):
        load(path)


def test_whole_numbers_in_place_of_weights_are_refused(saved: Path) -> None:
    header = read_header(saved)
    tensors = load_file(saved)
    tensors["head.linear.bias"] = tensors["head.linear.bias"].long()
    texts = {"format": "earmark-1", "config": header.config.to_json(), "provenance": "{}"}
    save_file(tensors, saved, metadata=texts)
    with pytest.raises(CheckpointError, match=r"head\.linear\.bias is of the wrong type"):
        load(saved)


def test_a_checkpoint_is_known_by_its_bytes_and_not_by_its_name(saved: Path, tmp_path: Path) -> None:
    renamed = saved.rename(tmp_path / "model.pt")
    assert is_ours(renamed)
    assert load(renamed).config == CNN


def test_a_file_of_the_first_days_has_no_digest_and_is_read(saved: Path) -> None:
    rewrite(saved, lambda t: t | {"__metadata__": without(t["__metadata__"], "digest")})
    assert read_header(saved).digest is None
    assert load(saved).config == CNN


def test_the_digest_is_that_of_the_contents_and_not_of_their_place_in_the_file(tmp_path: Path) -> None:
    model = CNN.build()
    save(model, tmp_path / "a.safetensors", {"epoch": 3})
    save(model, tmp_path / "b.safetensors", {"epoch": 3})
    save(model, tmp_path / "c.safetensors", {"epoch": 4})
    one, same, other = (read_header(tmp_path / f"{name}.safetensors").digest for name in "abc")
    assert one == same != other
    assert len(one or "") == 64


def test_each_flipped_bit_is_noticed(saved: Path) -> None:
    blob = saved.read_bytes()
    header = 8 + int.from_bytes(blob[:8], "little")
    unnoticed = []
    for place in [*range(0, header, header // 200), *range(header, len(blob), (len(blob) - header) // 50)]:
        changed = bytearray(blob)
        changed[place] ^= 1 << (place % 8)
        saved.write_bytes(changed)
        try:
            load(saved)
        except CheckpointError:
            continue
        unnoticed.append((place, place % 8))
    assert not unnoticed


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="not a regular file"):
        read_header(tmp_path / "model.safetensors")


def test_every_cut_is_noticed(saved: Path) -> None:
    blob = saved.read_bytes()
    for length in range(0, len(blob), len(blob) // 40):
        saved.write_bytes(blob[:length])
        with pytest.raises(CheckpointError):
            load(saved)


def test_a_nan_in_a_file_is_noticed(saved: Path) -> None:
    blob = bytearray(saved.read_bytes())
    blob[-4:] = struct.pack("<f", float("nan"))
    saved.write_bytes(blob)
    with pytest.raises(CheckpointError, match="NaN or infinite"):
        load(saved)


def test_clips_longer_than_the_encoder_takes_cannot_be_described() -> None:
    with pytest.raises(ConfigError, match="the encoder takes 135 at most"):
        PASST.replace(clip_seconds=5.0)


def test_positions_for_fewer_patches_than_there_are_cannot_be_described() -> None:
    with pytest.raises(ConfigError, match="gives position tables of"):
        PASST.encoder.replace(n_bands=128, stride=(33, 10))
