"""The workers of `front_ends.py`: each holds one front end and computes features of noise.

    python benchmarks/front_end_contestants.py NAME FOLDER

NAME is `earmark` or `peer`, and which front end: `slaney` (librosa), `kaldi` (kaldi-native-fbank), `ast`
(transformers' extractor) or `passt` (hear21passt).  Answers are lines of JSON.
"""

import contextlib
import io
import json
import os
import sys
import warnings
from collections.abc import Callable
from typing import Any

os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from contestants import published_mel, timed, without_library

SECONDS, SHOWN = 10, 10
RATES = {"slaney": 16000, "kaldi": 16000, "ast": 16000, "passt": 32000}
Compute = Callable[[np.ndarray], np.ndarray]
"""A clip to features, (band, frame)."""


def earmark(which: str) -> Compute:
    """Ours, with the settings that the peer has."""
    from earmark.cli.allocator import keep_memory
    from earmark.frontends import KaldiFbank, LogMel, SlaneyDb

    keep_memory()
    config = {
        "slaney": SlaneyDb(mean=0.0, std=1.0, deviations=1.0),
        "kaldi": KaldiFbank(n_mels=80, mean=0.0, std=1.0, deviations=1.0),
        "ast": KaldiFbank(length=1024),
        "passt": LogMel(),
    }[which]
    frontend = config.build().eval()

    def compute(sound: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return frontend(torch.from_numpy(sound)[None])[0].numpy()

    return compute


def peer(which: str) -> Compute:
    """Somebody else's."""
    return {"slaney": librosa, "kaldi": kaldi, "ast": extractor, "passt": published}[which]()


def librosa() -> Compute:
    """librosa's mel spectrogram in decibels."""
    from librosa import power_to_db
    from librosa.feature import melspectrogram

    sizes = {"n_fft": 4096, "win_length": 1024, "hop_length": 400, "n_mels": 64}
    return lambda sound: power_to_db(
        melspectrogram(y=sound, sr=16000, pad_mode="constant", **sizes), top_db=None
    )


def kaldi() -> Compute:
    """kaldi-native-fbank, of a waveform without its mean, as AST's loader gives it."""
    import kaldi_native_fbank as knf

    options = knf.FbankOptions()
    options.frame_opts.samp_freq = 16000
    options.frame_opts.dither = 0.0
    options.frame_opts.window_type = "hanning"
    options.mel_opts.num_bins = 80
    options.mel_opts.low_freq = 20
    options.use_energy = False

    def compute(sound: np.ndarray) -> np.ndarray:
        bank = knf.OnlineFbank(options)
        bank.accept_waveform(16000, sound - sound.mean())
        bank.input_finished()
        return np.stack([bank.get_frame(frame) for frame in range(bank.num_frames_ready)], axis=1)

    return compute


def extractor() -> Compute:
    """transformers' feature extractor of AST, which computes by torchaudio where that is installed."""
    without_library()
    from transformers import ASTFeatureExtractor

    extract = ASTFeatureExtractor()
    return lambda sound: extract(sound, sampling_rate=16000, return_tensors="np")["input_values"][0].T


def published() -> Compute:
    """hear21passt's."""
    mel = published_mel()

    def compute(sound: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return mel(torch.from_numpy(sound)[None])[0].numpy()

    return compute


def main() -> None:
    (side, which), answers = sys.argv[1].split(), sys.stdout
    warnings.simplefilter("ignore")
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    noise = np.random.default_rng(0).normal(0, 0.1, RATES[which] * SECONDS).astype(np.float32)
    with contextlib.redirect_stdout(io.StringIO()):  # hear21passt prints its whole net
        compute = {"earmark": earmark, "peer": peer}[side](which)
        answers.write(json.dumps(["features"]) + "\n")
        answers.flush()
        for _ in sys.stdin:
            answer: dict[str, Any] = timed(lambda _: compute(noise)[:, ::SHOWN], 1)
            answers.write(json.dumps(answer) + "\n")
            answers.flush()


if __name__ == "__main__":
    main()
