"""Sounds that are read block by block are embedded as those that lie in memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from test_modules import model_for, module, noise
from torch import nn

from earmark.audio import AudioError
from earmark.encoders.dbert import DBERTEncoder
from earmark.hear.framed import Framed
from earmark.hear.module import HearModel
from earmark.hear.rolling import Rolling
from earmark.hear.streaming import scene_embedding_of, timestamp_embeddings_of

LIKE: list[tuple[str, dict[str, Any]]] = [
    ("passt_2level_mel", {}),
    ("dbert", {"chunk_minutes": 0.01}),
    ("builtin", {}),
    ("model", {}),
    ("mn04", {"layer": ["bands", 0, "end"], "pool": "mean"}),
]


def streamed(sound: torch.Tensor, cuts: list[int], model: HearModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Times and embeddings of a sound that comes in blocks which end at these places."""
    parts = model.embedder.timestamps_of(Rolling(sound.tensor_split(cuts)), model.batch)
    times, embeddings = zip(*parts, strict=True)
    return torch.cat(times), torch.cat(embeddings)


@pytest.mark.parametrize(("name", "how"), LIKE)
@pytest.mark.parametrize("seconds", [0.0001, 1.3])
def test_blocks_give_what_the_whole_sound_gives(
    name: str, how: dict[str, Any], seconds: float, tmp_path: Path
) -> None:
    here, model = module(name), model_for(name, tmp_path, batch=2, **how)
    draws = np.random.default_rng(round(seconds * 100))
    sound = noise(1, seconds, model.sample_rate)
    wanted, milliseconds = here.get_timestamp_embeddings(sound, model)
    scene = here.get_scene_embeddings(sound, model)[0]
    cuts = sorted(draws.integers(0, sound.shape[1], 6).tolist())
    with torch.no_grad():
        times, found = streamed(sound[0], cuts, model)
        again = model.embedder.scene_of(Rolling(sound[0].tensor_split(cuts)), model.batch)
    torch.testing.assert_close((times * 1000).float(), milliseconds[0])
    torch.testing.assert_close(found, wanted[0], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(again, scene, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("name", "how"), [("passt", {"windows": (0.05,)}), *LIKE[1:]])
def test_what_is_held_of_a_sound_does_not_grow_with_it(
    name: str, how: dict[str, Any], tmp_path: Path
) -> None:
    model = model_for(name, tmp_path, batch=1, **how)
    held: list[int] = []
    for seconds in (3, 7):
        sound = Rolling(noise(1, seconds, model.sample_rate)[0].split(4000))
        most = 0
        with torch.no_grad():
            for _ in model.embedder.timestamps_of(sound, 1):
                most = max(most, sound.end - sound.first)
        held.append(most)
    assert held[1] <= held[0] + 4000
    assert held[1] < 2.5 * model.sample_rate


def test_a_file_is_read_at_the_models_rate(tmp_path: Path) -> None:
    here, model = module("passt"), model_for("passt", tmp_path)
    sound = noise(1, 2.3, 32000)
    soundfile.write(tmp_path / "a.wav", sound[0].numpy(), 32000, "FLOAT")
    wanted, _ = here.get_timestamp_embeddings(sound, model)
    with open(tmp_path / "a.wav", "rb") as file:
        parts = list(timestamp_embeddings_of(file, model))
    torch.testing.assert_close(torch.cat([found for _, found in parts]), wanted[0], atol=1e-5, rtol=1e-5)
    scene = scene_embedding_of(tmp_path / "a.wav", model)
    torch.testing.assert_close(scene, here.get_scene_embeddings(sound, model)[0], atol=1e-5, rtol=1e-5)


def test_a_damaged_file_is_refused_where_it_ends(tmp_path: Path) -> None:
    model = model_for("builtin", tmp_path)
    soundfile.write(tmp_path / "a.flac", noise(1, 5.0, 32000)[0].numpy(), 32000)
    whole = (tmp_path / "a.flac").read_bytes()
    with pytest.raises(AudioError):
        scene_embedding_of(whole[: len(whole) // 2], model)


def blind(model: HearModel) -> None:
    """Let no frame see another: no norm over time, no positional convolution, no attention."""
    encoder = model.network.encoder
    assert isinstance(encoder, DBERTEncoder)
    encoder.conv_extractor1.conv_layers[0][2] = nn.Identity()
    with torch.no_grad():
        encoder.positional_embedding.pos_conv[0].parametrizations.weight.original0.zero_()
        for layer in encoder.transformer_layers:
            layer.self_attn.out_proj.weight.zero_()


@pytest.mark.parametrize("seconds", [0.7, 2.0, 2.01, 3.3])
def test_frames_of_dbert_do_not_depend_on_the_chunk_if_they_do_not_see_one_another(
    seconds: float, tmp_path: Path
) -> None:
    """So every chunk begins and ends with what its frames' convolutions need, and none is lost or doubled."""
    here = module("dbert")
    whole = model_for("dbert", tmp_path)
    parts = model_for("dbert", tmp_path, chunk_minutes=0.01)
    audio = noise(2, seconds, whole.sample_rate)
    for model in (whole, parts):
        blind(model)
    wanted, found = (here.get_timestamp_embeddings(audio, model) for model in (whole, parts))
    torch.testing.assert_close(found[0], wanted[0], atol=1e-5, rtol=1e-5)
    assert torch.equal(found[1], wanted[1])


def test_the_last_two_chunks_of_dbert_are_of_one_length_and_none_is_too_long(tmp_path: Path) -> None:
    framed = model_for("dbert", tmp_path, chunk_minutes=0.01).embedder
    assert isinstance(framed, Framed)
    for seconds in (0.3, 0.7, 1.3, 5.0):
        audio = noise(1, seconds, 16000)
        with torch.no_grad():
            sizes = [frames.shape[1] for frames in framed._chunks(audio)]
        assert sum(sizes) == len(framed.times(audio.shape[1]))
        assert max(sizes) <= framed.most
        assert len(sizes) == -(-sum(sizes) // framed.most)
        assert len(sizes) < 2 or 0 <= sizes[-2] - sizes[-1] <= 1
