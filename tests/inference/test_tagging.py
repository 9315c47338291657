import re

import numpy as np
import pytest
import torch

from earmark.audio import AudioError
from earmark.config import ConfigError
from earmark.inference.embedding import embed
from earmark.inference.tagging import tag

from .sounds import RATE, make_model, noise


def scores(result, names=("Dog", "Rain", "Wind")):
    return [[{t.label: t.score for t in row.tags}[n] for n in names] for row in result.rows]


def alone(model, samples):
    with torch.inference_mode():
        return model.probabilities(model(torch.from_numpy(samples)[None]))[0].numpy()


def test_one_window_scores_as_the_model_alone(model):
    samples = noise(1.0)
    np.testing.assert_allclose(scores(tag((samples, RATE), model=model))[0], alone(model, samples), atol=1e-6)


def test_a_long_file_is_the_mean_weighted_by_new_audio(model):
    samples = noise(2.5)
    parts = [alone(model, samples[start : start + RATE]) for start in (0, RATE, RATE * 3 // 2)]
    expected = (parts[0] + parts[1] + 0.5 * parts[2]) / 2.5
    np.testing.assert_allclose(scores(tag((samples, RATE), model=model))[0], expected, atol=1e-6)


def test_a_short_sound_is_looped_to_the_length_of_training(model):
    samples = noise(0.3)
    expected = alone(model, np.resize(samples, RATE))
    np.testing.assert_allclose(scores(tag((samples, RATE), model=model))[0], expected, atol=1e-6)


@pytest.mark.parametrize("padding", ["none", "zeros", "loop"])
@pytest.mark.parametrize("count", [1, 2, 100, 8000, 16001])
def test_any_length_gives_finite_scores(padding, count):
    result = tag((noise(2)[:count], RATE), model=make_model(padding))
    assert np.isfinite(scores(result)).all()
    assert result.seconds == count / RATE


@pytest.mark.parametrize("window", [0.4, 1.0, 1.7])
def test_a_row_scores_as_the_same_stretch_by_itself(model, window):
    samples = noise(3.1)
    result = tag((samples, RATE), model=model, window=window, hop=0.5)
    for row, score in zip(result.rows, scores(result), strict=True):
        piece = samples[round(row.start * RATE) : round(row.end * RATE)]
        np.testing.assert_allclose(score, scores(tag((piece, RATE), model=model))[0], atol=1e-5)


def test_window_times_are_exact_and_cover_the_file(model):
    result = tag((noise(2.3), RATE), model=model, window=0.7, hop=0.3)
    assert [row.start for row in result.rows] == [round(k * 0.3 * RATE) / RATE for k in range(7)]
    assert [row.end for row in result.rows][-2:] == [2.2, 2.3]


def test_batches_do_not_change_results(model, sounds):
    paths = sounds(0.5, 1.0, 2.5, 0.2, 3.3, 1.0, 0.5)
    one = [scores(r)[0] for r in tag(paths, model=model, batch=1, workers=0)]
    for batch in (2, 5, 64):
        many = [scores(r)[0] for r in tag(paths, model=model, batch=batch, workers=0)]
        np.testing.assert_allclose(many, one, atol=1e-5)


def test_windows_of_unequal_length_are_not_padded_where_the_rule_is_none():
    model = make_model("none")
    lengths = (0.5, 0.6, 0.5, 0.7, 0.6)
    sounds = [noise(length, seed) for seed, length in enumerate(lengths)]
    results = tag([(sound, RATE) for sound in sounds], model=model, batch=2, workers=0)
    for sound, result in zip(sounds, results, strict=True):
        np.testing.assert_allclose(scores(result)[0], alone(model, sound), atol=1e-5)


def test_results_keep_the_order_of_the_sources(model, sounds):
    paths = sounds(*(3.0 if index == 0 else 0.2 + index / 50 for index in range(20)))
    results = list(tag(paths, model=model, workers=2, batch=4))
    assert [result.path for result in results] == [str(path) for path in paths]
    assert [result.seconds for result in results] == [
        pytest.approx(3.0 if index == 0 else 0.2 + index / 50, abs=1e-4) for index in range(20)
    ]


def test_a_bad_file_among_many_is_an_error_and_the_rest_are_done(model, sounds, tmp_path):
    good = sounds(0.5, 0.5)
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF")
    results = list(tag([good[0], bad, tmp_path / "missing.wav", good[1]], model=model, workers=1))
    assert [result.error is None for result in results] == [True, False, False, True]
    assert str(bad) in str(results[1].error)
    assert not results[1].rows


def test_a_bad_single_file_raises(model, tmp_path):
    with pytest.raises(AudioError, match=r"missing\.wav"):
        tag(tmp_path / "missing.wav", model=model)


def test_an_array_without_its_rate_is_refused(model):
    with pytest.raises(TypeError):
        tag(noise(0.5), model=model)


def test_what_is_no_source_is_an_error_among_many(model, sounds):
    [path] = sounds(0.2)
    with path.open(encoding="latin-1") as text:
        bad, good = tag(iter([text, (noise(0.2), RATE)]), model=model, workers=0)
    assert "binary mode" in str(bad.error)
    assert good.error is None


def test_bytes_and_open_files_are_sources(model, sounds):
    [path] = sounds(0.5)
    with path.open("rb") as file:
        by_file = tag(file, model=model)
    assert scores(by_file) == scores(tag(path.read_bytes(), model=model)) == scores(tag(path, model=model))


def test_exclusive_labels_share_a_probability_of_one():
    [row] = scores(tag((noise(1.0), RATE), model=make_model(exclusive=True)))
    assert sum(row) == pytest.approx(1, abs=1e-6)


def test_top_and_threshold_choose_the_tags(model):
    full = tag((noise(1.0), RATE), model=model).tags
    assert [t.score for t in full] == sorted((t.score for t in full), reverse=True)
    assert tag((noise(1.0), RATE), model=model, top=2).tags == full[:2]
    assert tag((noise(1.0), RATE), model=model, threshold=full[1].score).tags == full[:2]
    assert tag((noise(1.0), RATE), model=model, threshold=1.0).tags == ()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"top": 0}, "top is 0"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"window": -1.0}, "window is -1.0"),
        ({"window": float("nan")}, "window: "),
        ({"hop": 1.0}, "no window"),
        ({"batch": 0}, "batch is 0"),
        ({"workers": -1}, "workers is -1"),
        ({"timeout": 1e9}, "timeout is 1000000000.0"),
        ({"devise": "cpu"}, "did you mean 'device'"),
        ({"device": "nonsense"}, "nonsense"),
    ],
)
def test_an_impossible_option_is_a_sentence(model, options, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        tag((noise(0.1), RATE), model=model, **options)


def test_output_that_is_not_finite_is_an_error_not_a_score():
    model = make_model()
    with torch.no_grad():
        model.head.linear.bias[0] = float("nan")
    results = list(tag([(noise(2.5), RATE), (noise(0.5), RATE)], model=model, workers=0))
    assert ["not finite" in str(result.error) for result in results] == [True, True]


def test_a_model_is_left_in_the_mode_it_was_in():
    model = make_model().train()
    tag((noise(0.5), RATE), model=model)
    assert model.training


def test_embeddings_are_the_summaries_of_the_windows(model):
    samples = noise(2.0)
    with torch.inference_mode():
        expected = model.encode(torch.from_numpy(samples.reshape(2, RATE))).summary.numpy()
    np.testing.assert_allclose(embed((samples, RATE), model=model).embeddings[0], expected.mean(0), atol=1e-5)
    rows = embed((samples, RATE), model=model, window=1.0)
    np.testing.assert_allclose(rows.embeddings, expected, atol=1e-5)
    assert rows.starts.tolist() == [0.0, 1.0]
    assert rows.ends.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("seconds", [0.001, 0.3, 1.0, 2.5, 3.0])
def test_frames_are_in_order_within_the_sound_and_none_twice(model, seconds):
    result = embed((noise(seconds), RATE), model=model, level="frame")
    assert len(result.embeddings) == len(result.starts) == len(result.ends) > 0
    assert (np.diff(result.starts) > 0).all()
    assert (result.starts >= 0).all()
    assert (result.ends <= seconds + 1e-9).all()
    assert (result.ends > result.starts).all()
    assert len(result.embeddings) == pytest.approx(seconds / model.frame_seconds, abs=3)


def test_a_result_prints_as_a_person_reads_it(model):
    result = tag((noise(1.5), RATE), model=model, top=1)
    first, second = repr(result).splitlines()
    assert first == "<array>  0:01.5"
    assert result.tags[0].label in second
    assert "█" in second
    assert "<td>" in result._repr_html_()


def test_a_model_that_cannot_take_a_sound_costs_that_sound_only(sounds):
    model = make_model("none")

    def refuse(_: object, waveforms: tuple[torch.Tensor]) -> None:
        if waveforms[0].shape[-1] > RATE // 2:
            raise ValueError("the sound is too long")

    model.register_forward_pre_hook(refuse)
    one, other = tag(sounds(0.5, 0.9), model=model, workers=0)
    assert one.error is None
    assert "the model cannot take it" in str(other.error)


def test_a_mistake_inside_the_model_is_not_laid_at_a_file():
    model = make_model()
    model.encoder.register_forward_hook(lambda *_: len(5))
    with pytest.raises(TypeError):
        tag((noise(3.0), RATE), model=model, batch=1)


def test_a_device_that_gives_nothing_back_is_refused():
    with pytest.raises(ConfigError, match="device 'meta' cannot be used here"):
        tag((noise(0.1), RATE), model=make_model(), device="meta")
