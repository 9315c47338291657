"""Archives in the layouts of their publishers, a few short tones each."""

from pathlib import Path

import h5py
import numpy as np
import soundfile

RATE = 8000


def write_tone(path: Path, seconds: float = 0.1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(RATE * seconds)) / RATE
    soundfile.write(path, 0.1 * np.sin(2 * np.pi * 440 * time), RATE)
    return path


def write_text(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def write_pack(path: Path, target: np.ndarray, seconds: float = 0.1) -> Path:
    """A pack as PaSST's scripts write them: names, MP3 bytes and targets."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sound = write_tone(path.with_suffix(".mp3"), seconds)
    data = np.frombuffer(sound.read_bytes(), np.uint8)
    sound.unlink()
    with h5py.File(path, "w") as file:
        names = file.create_dataset("audio_name", (len(target),), "S20")
        sounds = file.create_dataset("mp3", (len(target),), h5py.vlen_dtype(np.uint8))
        file.create_dataset("target", data=target)
        for row in range(len(target)):
            names[row], sounds[row] = f"Y{row:011d}.mp3".encode(), data
    return path
