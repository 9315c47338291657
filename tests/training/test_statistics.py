"""Mean and deviation of a front end over a corpus, against the same numbers computed in one piece."""

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from earmark import audio
from earmark.cli import main
from earmark.config import ConfigError
from earmark.data import ESC50
from earmark.encoders import ResidualCNN
from earmark.frontends import KaldiFbank, LogMel, MagnitudeMel, RawWaveform, SlaneyDb
from earmark.labels import LabelSet
from earmark.models import TaggerConfig, save
from earmark.training.randomness import generator
from earmark.training.settings import TrainingError
from earmark.training.statistics import Measurement, Moments, measure, normalized_by

ESC10 = ESC50(esc10=True)
KALDI = KaldiFbank(sample_rate=8000, n_mels=40, win_length=200, hop_length=80)
LOG_MEL = LogMel(
    sample_rate=8000, n_fft=256, win_length=200, hop_length=80, n_mels=32, fmax=4000, fmax_jitter=1
)
SLANEY = SlaneyDb(sample_rate=8000, n_mels=32, n_fft=1024, win_length=256, hop_length=100)


def found(corpus: Path, frontend: Any, **fields: Any) -> Any:
    return measure(Measurement(frontend=frontend, corpus=ESC10, **fields), corpus)


def cells(corpus: Path, frontend: Any, seconds: float = 9.0) -> np.ndarray:
    """All features of the training clips, in the front end's own normalization."""
    clips = [audio.load(clip.path, 8000)[: int(8000 * seconds)] for clip in ESC10.read(corpus).train]
    features = [frontend.build().eval()(torch.from_numpy(np.array(clip))[None]) for clip in clips]
    return torch.cat([one.flatten() for one in features]).double().numpy()


@pytest.mark.parametrize(
    "frontend",
    [KALDI, KALDI.replace(length=60, deviations=1.0), LOG_MEL, SLANEY, SLANEY.replace(decibels="doubled")],
    ids=["Kaldi", "Kaldi with padding", "LogMel", "Slaney", "doubled"],
)
def test_the_measured_numbers_bring_all_cells_to_mean_0_and_deviation_1(tones: Path, frontend: Any) -> None:
    statistics = found(tones, frontend)
    own = frontend.replace(**normalized_by(frontend, statistics.mean, statistics.std))
    wanted = 1.0 / getattr(own, "deviations", 1.0)
    assert statistics.clips == 40
    assert not statistics.failed
    assert float(cells(tones, own).mean()) == pytest.approx(0, abs=1e-4)
    assert float(cells(tones, own).std()) == pytest.approx(wanted, abs=1e-4)


def test_they_do_not_depend_on_the_statistics_that_the_front_end_has(tones: Path) -> None:
    assert found(tones, KALDI) == found(tones, KALDI.replace(mean=7.0, std=3.0, deviations=1.0))


def test_clips_are_cut_to_what_is_asked_for_and_to_what_the_front_end_takes(tones: Path) -> None:
    bare = KALDI.replace(mean=0.0, std=1.0, deviations=1.0)
    cut = found(tones, KALDI, clip_seconds=0.2)
    assert cut.mean == pytest.approx(float(cells(tones, bare, seconds=0.2).mean()), abs=1e-5)
    short = KALDI.replace(length=30)  # 30 frames and one to spare are 2679 samples; the clips have 4000
    bare = bare.replace(length=30)
    assert found(tones, short).mean == pytest.approx(float(cells(tones, bare, 2679 / 8000).mean()), abs=1e-5)


def test_a_clip_shorter_than_one_window_is_padded(tones: Path) -> None:
    assert found(tones, KALDI, clip_seconds=0.01).clips == 40


def test_masks_of_zeros_draw_the_mean_toward_zero_and_widen_the_deviation(tones: Path) -> None:
    plain = found(tones, KALDI)
    masked = found(tones, KALDI, freq_mask=20, time_mask=20)
    assert plain.mean < masked.mean < 0
    power = KALDI.replace(mean=0.0, std=1.0, deviations=1.0)
    share = masked.mean / plain.mean  # of the cells that are not masked, if masks fall anywhere alike
    assert 0.4 < share < 0.9
    assert masked.std**2 + masked.mean**2 == pytest.approx(
        share * float((cells(tones, power) ** 2).mean()), rel=0.1
    )


def test_mixup_mixes_waveforms_without_their_means(tones: Path) -> None:
    clips = [audio.load(clip.path, 8000) for clip in ESC10.read(tones).train]
    heard: list[np.ndarray] = []
    for index, clip in enumerate(clips):
        draws = generator(5, 0, index, "statistics")
        mixed, partner, share = draws.random() < 0.5, draws.integers(len(clips)), draws.beta(10, 10)
        other = clips[partner] - clips[partner].mean()
        heard.append(share * (clip - clip.mean()) + (1 - share) * other if mixed else clip)
    bare = KALDI.replace(mean=0.0, std=1.0, deviations=1.0).build()
    features = bare(torch.from_numpy(np.stack(heard).astype(np.float32))).double()
    statistics = found(tones, KALDI, mixup=0.5, seed=5)
    assert statistics.mean == pytest.approx(float(features.mean()), abs=1e-4)
    assert statistics.std == pytest.approx(float(features.std()), abs=1e-4)
    assert abs(statistics.mean - found(tones, KALDI).mean) > 1e-2


def test_the_same_seed_finds_the_same(tones: Path) -> None:
    asked = {"freq_mask": 8, "time_mask": 8, "mixup": 0.5}
    assert found(tones, KALDI, **asked) == found(tones, KALDI, **asked)
    assert found(tones, KALDI, **asked) != found(tones, KALDI, **asked, seed=1)


def test_moments_of_pieces_are_those_of_the_whole_far_from_zero() -> None:
    numbers = np.random.default_rng(0).normal(1e4, 1e-2, 3000)
    moments = Moments()
    for piece in np.split(numbers, [1, 2, 700, 1500]):
        moments.add(torch.from_numpy(piece))
    assert moments.mean == pytest.approx(numbers.mean(), rel=1e-12)
    assert moments.std == pytest.approx(numbers.std(), rel=1e-6)


@pytest.mark.parametrize("frontend", [MagnitudeMel(), RawWaveform()], ids=lambda frontend: frontend.kind)
def test_a_front_end_without_fixed_statistics_has_nothing_to_measure(frontend: Any) -> None:
    with pytest.raises(ConfigError, match=f"{frontend.kind} is not normalized by the statistics of a corpus"):
        Measurement(frontend=frontend, corpus=ESC10)


def test_a_mask_wider_than_the_spectrogram_is_refused() -> None:
    with pytest.raises(ConfigError, match="freq_mask is 41 but the front end has 40 bands"):
        Measurement(frontend=KALDI, corpus=ESC10, freq_mask=41)


def test_clips_longer_than_the_front_end_takes_cannot_be_asked_for() -> None:
    with pytest.raises(ConfigError, match=r"8000 samples give 98 frames but frontend.length is 30"):
        Measurement(frontend=KALDI.replace(length=30), corpus=ESC10, clip_seconds=1.0)


@pytest.fixture
def damaged(tones: Path, tmp_path: Path) -> Path:
    """The corpus of tones with one clip that is no audio."""
    root = Path(shutil.copytree(tones, tmp_path / "tones"))
    next(iter(sorted((root / "audio").glob("2-*")))).write_bytes(b"no audio")
    return root


def test_a_damaged_clip_is_named_once_and_the_others_are_measured(damaged: Path) -> None:
    statistics = found(damaged, KALDI, mixup=1.0)
    assert statistics.clips == 39
    assert len(statistics.failed) == 1
    assert "2-" in statistics.failed[0]


def test_a_corpus_without_one_good_clip_is_an_error(damaged: Path) -> None:
    for clip in (damaged / "audio").iterdir():
        clip.write_bytes(b"no audio")
    with pytest.raises(TrainingError, match="none of 40 clips can be decoded"):
        found(damaged, KALDI)


Call = Callable[..., tuple[int, str, str]]


@pytest.fixture
def stats(capsys: pytest.CaptureFixture[str]) -> Iterator[Call]:
    """`earmark stats` as typed: its exit status, what it prints, and what it complains of."""

    def call(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main(["stats", *map(str, arguments)])
        return ended.value.code, *capsys.readouterr()

    stopped = signal.getsignal(signal.SIGTERM)
    yield call
    signal.signal(signal.SIGTERM, stopped)


SMALL = [
    "KaldiFbank",
    *("--corpus", "esc10", "--set", "frontend.n_mels=40", "--set", "frontend.sample_rate=8000"),
    *("--set", "frontend.win_length=200", "--set", "frontend.hop_length=80"),
]


def test_the_command_prints_a_sentence_and_the_settings_of_a_recipe(stats: Call, tones: Path) -> None:
    status, out, _ = stats(*SMALL, "--data", tones, "--set", "freq_mask=8", "--set", "mixup=0.5")
    assert status == 0
    statistics = found(tones, KALDI, freq_mask=8, mixup=0.5)
    assert "40 clips of esc10 (fold 1 held out), 0 failed" in out
    assert "KaldiFbank with masks of up to 8 bands and mixup of 0.5 of the clips" in out
    assert f"--set model.frontend.mean={statistics.mean:.8g} --set model.frontend.std=" in out


def test_the_command_answers_programs_and_counts_damaged_clips(stats: Call, damaged: Path) -> None:
    status, out, err = stats(*SMALL, "--data", damaged, "--json")
    assert status == 1
    assert err.count("earmark: ") == 1
    answer = json.loads(out)
    assert (answer["clips"], len(answer["failed"])) == (39, 1)
    assert answer["mean"] == pytest.approx(found(damaged, KALDI).mean, abs=1e-9)
    assert answer["set"][1] == f"model.frontend.std={answer['std']:.8g}"


def test_a_models_front_end_and_length_of_clips_are_taken(stats: Call, tones: Path, tmp_path: Path) -> None:
    encoder = ResidualCNN(n_bands=32, stem=4, widths=(4, 8))
    config = TaggerConfig(
        frontend=LOG_MEL, encoder=encoder, labels=LabelSet(names=("Dog",)), clip_seconds=0.25
    )
    save(config.build(), tmp_path / "model.safetensors", {})
    _, out, _ = stats(tmp_path / "model.safetensors", "--corpus", "esc10", "--data", tones)
    statistics = found(tones, LOG_MEL, clip_seconds=0.25)
    assert f"model.frontend.offset={-statistics.mean:.8g}" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["KaldiFbnk", "--corpus", "esc10"], "there are KaldiFbank, LogMel"),
        (["KaldiFbank", "--corpus", "esc11"], "did you mean 'esc10'"),
        (["KaldiFbank", "--corpus", "esc10", "--set", "freq_mas=3"], "did you mean 'freq_mask'"),
        (["MagnitudeMel", "--corpus", "esc10"], "nothing to measure"),
        (["builtin,builtin", "--corpus", "esc10"], "an ensemble of several front ends"),
        (["KaldiFbank", "--corpus", "esc10"], "no table of ESC-50 or ESC-10"),
    ],
)
def test_a_wrong_call_is_one_sentence_and_status_2(
    stats: Call, arguments: list[str], words: str, tmp_path: Path
) -> None:
    status, out, err = stats(*arguments, "--data", tmp_path)
    assert (status, out) == (2, "")
    assert err.startswith("earmark: ")
    assert words in err
    assert err.count("\n") == 1


def test_a_silent_corpus_has_no_deviation(tones: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(tones, tmp_path / "silent"))
    for clip in (root / "audio").iterdir():
        soundfile.write(clip, np.zeros(4000), 8000)
    statistics = found(root, KALDI)
    assert statistics.mean == pytest.approx(np.log(2.0**-23), abs=1e-5)
    assert statistics.std == pytest.approx(0, abs=1e-5)


@pytest.mark.slow
@pytest.mark.skipif("EARMARK_DATA" not in os.environ, reason="EARMARK_DATA is unset: no real ESC-50 here")
def test_the_published_statistics_of_ast_on_esc50_are_found_again() -> None:
    corpus = Path(os.environ["EARMARK_DATA"]) / "esc50_16k"
    statistics = measure(Measurement(frontend=KaldiFbank(length=512), corpus=ESC50()), corpus)
    assert statistics.mean == pytest.approx(-6.6268077, abs=0.1)  # published over all five folds
    assert statistics.std == pytest.approx(5.358466, abs=0.1)  # and as a mean of deviations of batches
