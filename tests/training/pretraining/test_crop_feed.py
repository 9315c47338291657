"""Crops: where they come from, how long they are, and that a run's are always the same."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tiny_dbert import ENCODER, RATE

from earmark.config import ConfigError
from earmark.data.clips import Clip
from earmark.data.esc50 import ESC50
from earmark.data.feeding.sounds import Sounds, open_sounds
from earmark.data.unlabeled import Unlabeled
from earmark.encoders import PaSST
from earmark.encoders.clusters import Clusters
from earmark.frontends import LogMel, RawWaveform
from earmark.models import TaggerConfig
from earmark.models.tagger import Tagger
from earmark.recipes import PRETRAINING
from earmark.training import AdamW, TrainingError
from earmark.training.pretraining.feed import CropFeed
from earmark.training.pretraining.recipe import PretrainRecipe
from earmark.training.reading import Place

RECIPE = PretrainRecipe(
    model=TaggerConfig(frontend=RawWaveform(sample_rate=RATE), encoder=ENCODER, head=None),
    epochs=2,
    batch_size=6,
    crop_seconds=0.2,
    jitter=0.5,
)


@pytest.fixture(scope="module")
def sounds(tmp_path_factory: pytest.TempPathFactory) -> Sounds:
    """Ten clips; each sample tells which clip it is of, and where it stands in it; one is broken."""
    root = tmp_path_factory.mktemp("ramps")
    clips = []
    for number in range(10):
        path = root / f"{number}.wav"
        ramp = number * 3000 + np.arange(500 if number == 3 else 2900)
        soundfile.write(path, ramp.astype(np.int16), RATE, subtype="PCM_16")
        clips.append(Clip(path, ()))
    clips[7].path.write_bytes(b"nothing")
    return open_sounds(clips, RATE, workers=0)


def test_crops_are_stretches_of_their_clips_and_shorter_clips_end_in_silence(sounds: Sounds) -> None:
    feed = CropFeed(RECIPE, sounds)
    starts = set()
    for epoch in range(6):
        for step in range(feed.steps_per_epoch):
            batch = feed[epoch, step]
            for wave, length, clip in zip(batch.waveform, batch.lengths.tolist(), batch.clips, strict=True):
                samples = (wave[:length] * 32768).round().int()
                assert length == min(len(wave), 500 if clip == 3 else 2900)
                assert torch.equal(samples - samples[0], torch.arange(length, dtype=torch.int32))
                assert int(samples[0]) // 3000 == clip
                assert not bool(wave[length:].any())
                starts.add(int(samples[0]) % 3000 if clip == 5 else 0)
    assert len(starts) > 4


def test_crops_of_a_batch_have_one_length_and_those_of_others_another(sounds: Sounds) -> None:
    feed = CropFeed(RECIPE, sounds)
    lengths = {feed[epoch, step].waveform.shape[1] for epoch in range(5) for step in range(2)}
    assert len(lengths) == 10
    assert 800 <= min(lengths) < 1000 < 1400 < max(lengths) <= 1600
    still = CropFeed(RECIPE.replace(jitter=0.0), sounds)
    assert {still[0, step].waveform.shape[1] for step in range(2)} == {1600}


def test_each_clip_is_heard_once_before_any_is_heard_twice(sounds: Sounds) -> None:
    feed = CropFeed(RECIPE.replace(epoch_clips=25), sounds)
    order = feed.order(1).tolist()
    assert sorted(order[:10]) == sorted(order[10:20]) == list(range(10))
    assert order[:10] != order[10:20]
    assert feed.steps_per_epoch == 5
    places = [place for step in range(5) for place in feed[1, step].places]
    assert places == list(range(25))
    assert feed.order(0).tolist() != order


def test_crops_by_seconds_hear_a_clip_as_often_as_crops_fit_into_it(sounds: Sounds) -> None:
    feed = CropFeed(RECIPE.replace(crops="seconds"), sounds)
    times = np.bincount(feed.order(0), minlength=10)
    assert times.tolist() == [2, 2, 2, 1, 2, 2, 2, 1, 2, 2]  # crops have 1600 samples; 3 has 500, 7 is broken
    assert feed.n_clips == 18
    longer = CropFeed(RECIPE.replace(crops="seconds", epoch_clips=40), sounds)
    assert (np.bincount(longer.order(1)[:36], minlength=10) == 2 * times).all()


def test_a_clip_that_cannot_be_decoded_is_replaced_and_told_of(sounds: Sounds) -> None:
    feed = CropFeed(RECIPE, sounds)
    shares = [feed[0, step] for step in range(2)]
    assert [list(share.failures) for share in shares if share.failures] == [[7]]
    assert 7 not in [clip for share in shares for clip in share.clips]
    assert sum(len(share.clips) for share in shares) == 10


def test_processes_share_a_batch_and_get_the_same_crops(sounds: Sounds) -> None:
    whole = CropFeed(RECIPE, sounds)[1, 0]
    parts = [CropFeed(RECIPE, sounds, Place(rank, 2))[1, 0] for rank in range(2)]
    assert torch.equal(torch.cat([part.waveform for part in parts]), whole.waveform)
    assert [place for part in parts for place in part.places] == whole.places
    assert [part.total for part in parts] == [6, 6]


def test_if_nothing_can_be_decoded_the_run_ends(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"nothing")
    feed = CropFeed(RECIPE, open_sounds([Clip(tmp_path / "a.wav", ())], RATE, workers=0))
    with pytest.raises(TrainingError, match="in a row cannot be decoded"):
        feed[0, 0]


def test_a_tree_is_read_in_the_order_of_its_paths_without_what_is_hidden_or_left_out(tmp_path: Path) -> None:
    for name in ("b/2.wav", "a/c/1.OGG", "a/b.mp4", "fold5/x.wav", ".trash/y.wav", "a/.z.wav", "a/readme.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    split = Unlabeled(leave_out=("fold5/*",)).read(tmp_path)
    assert [clip.path.relative_to(tmp_path).as_posix() for clip in split.train] == [
        "a/b.mp4",
        "a/c/1.OGG",
        "b/2.wav",
    ]
    assert not split.test
    assert len(Unlabeled().read(tmp_path).train) == 4
    with pytest.raises(ConfigError, match="no such file or folder"):
        Unlabeled().read(tmp_path / "nowhere")


def test_a_labeled_corpus_lends_its_clips_but_not_the_fold_that_it_holds_out(tones: Path) -> None:
    recipe = PretrainRecipe.from_dict(RECIPE.to_dict() | {"corpus": "esc10"})
    assert recipe.corpus == ESC50(esc10=True)
    held = recipe.replace(corpus=ESC50(esc10=True, fold=2)).corpus.read(tones)
    assert len(held.train) == 40
    assert not [clip for clip in held.train if clip.path.name.startswith("2-")]
    with pytest.raises(ConfigError, match="did you mean 'esc10'"):
        PretrainRecipe.from_dict(RECIPE.to_dict() | {"corpus": "esc11"})


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"model": RECIPE.model.replace(encoder=ENCODER.replace(clusters=None))},
            "takes a dBERT with clusters",
        ),
        ({"model": RECIPE.model.replace(encoder=ENCODER.replace(layer=1))}, "takes a dBERT with clusters"),
        ({"model": TaggerConfig(frontend=LogMel(), encoder=PaSST(), head=None)}, "the encoder is a PaSST"),
        ({"crop_seconds": 0.003}, "the encoder needs"),
        ({"batch_size": 5}, "take batches of 6 at least"),
        ({"optimizer": AdamW(freeze="encoder")}, "optimizer.freeze is set"),
    ],
)
def test_a_recipe_that_cannot_be_computed_is_a_sentence(change: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        RECIPE.replace(**change)


@pytest.mark.parametrize("name", [name for name in PRETRAINING if name.startswith("dbert")])
def test_a_named_recipe_is_plain_data_and_can_be_built(name: str) -> None:
    recipe = PRETRAINING[name]
    assert PretrainRecipe.from_json(recipe.to_json()) == recipe
    model = Tagger(recipe.model, hollow=True)
    most = {"dbert-tiny": 4e6, "dbert-tiny-literal": 4e6, "dbert-base": 1e8, "dbert-large": 3.5e8}[name]
    assert most / 3 < model.count_parameters() < most
    assert (recipe.objective.teacher is None) == name.endswith("literal")
    assert recipe.model.replace(encoder=recipe.model.encoder.replace(clusters=Clusters())).head is None
