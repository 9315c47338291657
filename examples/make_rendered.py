"""Make the two rendered clips of this folder again: a piano, and a voice in the rain.

Needs numpy and soundfile (earmark's own), and the programs `fluidsynth` and `espeak-ng` with the sound font
FluidR3_GM; on Debian: `apt-get install fluidsynth fluid-soundfont-gm espeak-ng`. Run it from anywhere:

    python examples/make_rendered.py
"""

import subprocess
import tempfile
from pathlib import Path

import numpy as np
import soundfile

FOLDER = Path(__file__).parent
SOUND_FONT = "/usr/share/sounds/sf2/FluidR3_GM.sf2"
TICKS = 480  # of a quarter note
Note = tuple[float, float, int]  # beat, length in beats, MIDI pitch
PIANO: list[list[Note]] = [
    [(beat, 1.0, pitch) for beat, pitch in enumerate((60, 64, 67, 72, 69, 65, 67, 71, 72, 67))],
    [(0, 4.0, 48), (4, 2.0, 53), (6, 2.0, 55), (8, 3.0, 48), (8, 3.0, 64)],
]


def main() -> None:
    """Write the clips beside this file."""
    piano = play([*PIANO[0], *PIANO[1]], channel=0, beats_per_minute=110, rate=44100)[: 6 * 44100]
    soundfile.write(FOLDER / "piano.mp3", piano, 44100, format="MP3", subtype="MPEG_LAYER_III")
    voice = speak("The weather today: rain in the morning, and more rain after that.")
    soundfile.write(FOLDER / "voice-in-rain.wav", voice + rain(len(voice)), 16000, subtype="PCM_16")


def play(notes: list[Note], *, channel: int, beats_per_minute: float, rate: int) -> np.ndarray:
    """Play notes on fluidsynth; (sample, 2) with peaks at 0.8."""
    with tempfile.TemporaryDirectory() as folder:
        tune, sound = Path(folder, "tune.mid"), Path(folder, "tune.wav")
        tune.write_bytes(midi(notes, channel, beats_per_minute))
        command = ["fluidsynth", "-ni", "-q", "-r", str(rate), "-F", str(sound), SOUND_FONT, str(tune)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        waveform, _ = soundfile.read(sound)
    return 0.8 * waveform / np.abs(waveform).max()


def midi(notes: list[Note], channel: int, beats_per_minute: float) -> bytes:
    """A standard MIDI file of one track; loudness varies from note to note, as it does under a hand."""
    events: list[tuple[int, bytes]] = []
    for index, (beat, length, pitch) in enumerate(notes):
        loudness = 80 + 12 * (index % 3)
        events.append((round(beat * TICKS), bytes([0x90 + channel, pitch, loudness])))
        events.append((round((beat + length) * TICKS), bytes([0x80 + channel, pitch, 0])))
    tempo = round(60e6 / beats_per_minute).to_bytes(3, "big")
    track, now = b"\x00\xff\x51\x03" + tempo, 0
    for tick, event in sorted(events):
        track += variable_length(tick - now) + event
        now = tick
    track += b"\x00\xff\x2f\x00"
    header = b"MThd" + (6).to_bytes(4, "big") + b"\x00\x00\x00\x01" + TICKS.to_bytes(2, "big")
    return header + b"MTrk" + len(track).to_bytes(4, "big") + track


def variable_length(number: int) -> bytes:
    """MIDI's way to write a number: seven bits a byte, the top bit set on all but the last."""
    digits = [number & 0x7F]
    while number := number >> 7:
        digits.append(number & 0x7F | 0x80)
    return bytes(reversed(digits))


def speak(sentence: str) -> np.ndarray:
    """Let espeak-ng say a sentence; (sample,) at 16 kHz with peaks at 0.6."""
    with tempfile.TemporaryDirectory() as folder:
        sound = Path(folder, "voice.wav")
        subprocess.run(["espeak-ng", "-v", "en-gb", "-s", "165", "-w", str(sound), sentence], check=True)
        waveform, rate = soundfile.read(sound)
    times = np.arange(0, len(waveform) / rate, 1 / 16000)
    voice = np.interp(times, np.arange(len(waveform)) / rate, waveform)
    return 0.6 * voice / np.abs(voice).max()


def rain(samples: int) -> np.ndarray:
    """Rain at 16 kHz: a hiss that grows softer towards the bass, and 300 drops a second of single clicks."""
    draw = np.random.default_rng(0)
    spectrum = np.fft.rfft(draw.normal(size=samples))
    spectrum *= np.minimum(np.fft.rfftfreq(samples, 1 / 16000) / 1000, 1)
    hiss = 0.02 * np.fft.irfft(spectrum, samples)
    drops = draw.exponential(0.06, samples) * (draw.random(samples) < 300 / 16000)
    ring = np.exp(-np.arange(64) / 12) * np.sin(np.arange(64) * 1.9)
    return hiss + np.convolve(drops, ring)[:samples]


if __name__ == "__main__":
    main()
