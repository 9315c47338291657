"""A pack as PaSST's tools write it, and a corpus of clips of all kinds."""

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.data import Clip

h5py = pytest.importorskip("h5py", reason="packs need the extra [data]")

RATE = 16000
NAMES = tuple(f"class {index}" for index in range(11))


def noise(seconds: float, seed: int, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-0.4, 0.4, (round(seconds * RATE), channels))


def mp3(sound: np.ndarray) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, sound, RATE, format="MP3")
    return out.getvalue()


def write_pack(path: Path, sounds: list[bytes], target: np.ndarray) -> Path:
    """A pack as PaSST's tools write it."""
    with h5py.File(path, "w") as file:
        names = [f"Y{index}.mp3" for index in range(len(sounds))]
        file.create_dataset("audio_name", data=np.array(names, dtype="S20"))
        data = file.create_dataset("mp3", (len(sounds),), dtype=h5py.vlen_dtype(np.uint8))
        for row, sound in enumerate(sounds):
            data[row] = np.frombuffer(sound, np.uint8)
        file.create_dataset("target", data=target)
    return path


@pytest.fixture
def held() -> np.ndarray:
    return np.random.default_rng(0).random((4, len(NAMES))) < 0.4


@pytest.fixture
def sounds() -> list[bytes]:
    return [mp3(noise(0.5, 1)), mp3(noise(0.8, 2, channels=2)), b"no mp3 at all", mp3(noise(0.3, 3))]


@pytest.fixture
def pack(tmp_path, sounds, held) -> Path:
    return write_pack(tmp_path / "train_mp3.hdf", sounds, np.packbits(held, axis=1))


@pytest.fixture
def corpus(tmp_path, pack) -> list[Clip]:
    """Files of three kinds, a stretch, a loud stretch, a row of a pack, and a file that is gone."""
    folder = tmp_path / "files"
    folder.mkdir()
    clips: list[Clip] = []
    for index, kind in enumerate(("wav", "ogg", "flac", "wav", "ogg")):
        path = folder / f"klänge {index}.{kind}"
        soundfile.write(path, noise(0.4 + index / 10, index), RATE)
        clips.append(Clip(path, (NAMES[index],), unknown=(NAMES[-1],) if index % 2 else ()))
    soundfile.write(folder / "loud.wav", 5 * noise(1.0, 7), RATE, subtype="FLOAT")
    clips.append(Clip(clips[2].path, (NAMES[1], "Tiếng Việt"), start=0.1, end=0.3))
    clips.append(Clip(folder / "loud.wav", (), start=0.5))
    clips.append(Clip(pack, (NAMES[4],), row=1))
    clips.append(Clip(folder / "gone.wav", (NAMES[0],)))
    return clips
