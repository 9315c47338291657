"""A menagerie of odd and broken sound files, each with what must come of it.

`make_all(folder)` writes them and says what to expect; the command line's tests use it too.
"""

import os
import socket
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from .encoders import (
    FRAMES,
    LEVEL,
    PCM,
    RATE,
    TONE,
    after,
    encoded,
    film,
    film_with_sound,
    flac_count,
    hours_of_silence,
    patched,
    silent_film,
    wav,
)


@dataclass(frozen=True)
class OddFile:
    """One file and what must come of it.

    `words` are part of the error; `frames` (at the file's own rate, within 3 %) and `level` (root mean
    square, within 10 %) of a sound that is read.
    """

    name: str
    path: Path
    expect: Literal["error", "ok"]
    words: str = ""
    frames: int = FRAMES
    level: float = LEVEL


TAG = b"ID3\4\0\0\0\0\0\x20" + bytes(32)
STEREO = np.stack([TONE, TONE], axis=1)
VORBIS = {"container": "OGG", "codec": "VORBIS"}
OPUS = {"container": "OGG", "codec": "OPUS"}
LONG = np.tile(TONE, 20)
NOISE = np.random.default_rng(0).uniform(-0.5, 0.5, 40 * FRAMES).astype(np.float32)


def _bits24_in_32() -> bytes:
    body = (TONE * (2**31 - 1)).astype("<i4") & ~0xFF
    guid = struct.pack("<HHI", 22, 24, 4) + bytes.fromhex("0100000000001000800000aa00389b71")
    fmt = struct.pack("<HHIIHH", 0xFFFE, 1, RATE, 4 * RATE, 4, 32) + guid
    chunks = b"fmt " + struct.pack("<I", len(fmt)) + fmt
    chunks += b"data" + struct.pack("<I", body.nbytes) + body.tobytes()
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def _au(size: int, body: bytes = PCM, rate: int = RATE, order: str = ">") -> bytes:
    magic = b".snd" if order == ">" else b"dns."
    body = np.frombuffer(body, "<i2").astype(order + "i2").tobytes()
    return magic + struct.pack(order + "5I", 24, size, 3, rate, 1) + body


def _floats(values: dict[int, float]) -> bytes:
    samples = TONE.copy()
    for place, value in values.items():
        samples[place] = value
    return encoded(samples, codec="FLOAT")


def _cut(data: bytes, part: float) -> bytes:
    return data[: int(len(data) * part)]


def _flipped(data: bytes) -> bytes:
    middle = len(data) // 2
    return patched(data, middle, bytes([data[middle] ^ 0x55]))


def _aiff_rate(exponent: int, mantissa: int) -> bytes:
    return after(encoded(container="AIFF"), b"COMM", struct.pack(">HQ", exponent, mantissa), skip=12)


def _aiff_streamed() -> bytes:
    data = after(encoded(container="AIFF"), b"COMM", bytes(4), skip=6)
    return after(data, b"SSND", bytes(4))


# name: (bytes, frames, level)
SOUND: dict[str, tuple[Callable[[], bytes], int, float]] = {
    "wav_16": (lambda: wav(), FRAMES, LEVEL),
    "wav_8_unsigned": (lambda: encoded(codec="PCM_U8"), FRAMES, LEVEL),
    "wav_24": (lambda: encoded(codec="PCM_24"), FRAMES, LEVEL),
    "wav_32": (lambda: encoded(codec="PCM_32"), FRAMES, LEVEL),
    "wav_24_in_32": (_bits24_in_32, FRAMES, LEVEL),
    "wav_float": (lambda: encoded(codec="FLOAT"), FRAMES, LEVEL),
    "wav_double": (lambda: encoded(codec="DOUBLE"), FRAMES, LEVEL),
    "wav_mu_law": (lambda: encoded(codec="ULAW"), FRAMES, LEVEL),
    "wav_a_law": (lambda: encoded(codec="ALAW"), FRAMES, LEVEL),
    "wav_ima_adpcm": (lambda: encoded(LONG, codec="IMA_ADPCM"), len(LONG), LEVEL),
    "wav_ms_adpcm": (lambda: encoded(LONG, codec="MS_ADPCM"), len(LONG), LEVEL),
    "wav_gsm": (lambda: encoded(LONG, codec="GSM610"), len(LONG), LEVEL),
    "wav_rifx": (lambda: wav(np.frombuffer(PCM, "<i2").astype(">i2").tobytes(), big=True), FRAMES, LEVEL),
    "wav_extensible": (lambda: encoded(container="WAVEX"), FRAMES, LEVEL),
    "wav_stereo": (lambda: encoded(STEREO), FRAMES, LEVEL),
    "wav_stereo_opposed": (lambda: encoded(np.stack([TONE, -TONE], axis=1), codec="FLOAT"), FRAMES, 0.0),
    "wav_8_channels": (lambda: encoded(np.repeat(TONE[:, None], 8, axis=1)), FRAMES, LEVEL),
    "wav_64_channels": (lambda: encoded(np.repeat(TONE[:, None], 64, axis=1)), FRAMES, LEVEL),
    "wav_1000_hz": (lambda: encoded(np.full(100, 0.5), 1000), 100, 0.5),
    "wav_11025_hz": (lambda: encoded(rate=11025), FRAMES, LEVEL),
    "wav_192_khz": (lambda: encoded(rate=192000), FRAMES, LEVEL),
    "wav_768_khz": (lambda: encoded(LONG, rate=768000), len(LONG), LEVEL),
    "wav_one_sample": (lambda: encoded(np.array([0.5])), 1, 0.5),
    "wav_10_ms": (lambda: encoded(TONE[:80]), 80, 0.354),
    "wav_silence": (lambda: encoded(np.zeros(FRAMES)), FRAMES, 0.0),
    "wav_dc": (lambda: encoded(np.full(FRAMES, 0.25)), FRAMES, 0.25),
    "wav_square": (lambda: encoded(np.repeat([1.0, -1.0] * 100, 8), codec="FLOAT"), FRAMES, 1.0),
    "wav_loud_floats": (lambda: encoded(TONE * 100, codec="FLOAT"), FRAMES, 100 * LEVEL),
    "wav_streamed_minus_1": (lambda: wav(size=0xFFFFFFFF, riff=0xFFFFFFFF), FRAMES, LEVEL),
    "wav_streamed_0": (lambda: wav(size=0, riff=0), FRAMES, LEVEL),
    "wav_streamed_by_sox": (lambda: wav(size=0x7FFFF000, riff=0x7FFFF024), FRAMES, LEVEL),
    "wav_wrong_riff_size": (lambda: wav(riff=12), FRAMES, LEVEL),
    "wav_with_notes": (lambda: wav(after=b"LIST\4\0\0\0INFO"), FRAMES, LEVEL),
    "wav_with_notes_first": (lambda: wav(before=b"LIST\4\0\0\0INFO"), FRAMES, LEVEL),
    "wav_with_tag": (lambda: wav(after=b"TAG" + bytes(125)), FRAMES, LEVEL),
    "rf64": (lambda: encoded(container="RF64"), FRAMES, LEVEL),
    "w64": (lambda: encoded(container="W64"), FRAMES, LEVEL),
    "aiff": (lambda: encoded(container="AIFF"), FRAMES, LEVEL),
    "aiff_streamed": (_aiff_streamed, FRAMES, LEVEL),
    "aifc_float": (lambda: encoded(container="AIFF", codec="FLOAT"), FRAMES, LEVEL),
    "aifc_little": (lambda: encoded(container="AIFF", endian="LITTLE"), FRAMES, LEVEL),
    "aifc_ima": (lambda: encoded(container="AIFF", codec="IMA_ADPCM"), FRAMES, LEVEL),
    "svx": (lambda: encoded(container="SVX"), FRAMES, LEVEL),
    "au": (lambda: encoded(container="AU"), FRAMES, LEVEL),
    "au_little": (lambda: _au(len(PCM), order="<"), FRAMES, LEVEL),
    "au_streamed": (lambda: _au(0xFFFFFFFF), FRAMES, LEVEL),
    "caf": (lambda: encoded(container="CAF"), FRAMES, LEVEL),
    "caf_alac": (lambda: encoded(container="CAF", codec="ALAC_16"), FRAMES, LEVEL),
    "caf_streamed": (lambda: after(encoded(container="CAF"), b"data", b"\xff" * 8), FRAMES, LEVEL),
    "nist": (lambda: encoded(container="NIST", codec="PCM_16"), FRAMES, LEVEL),
    "ircam": (lambda: encoded(container="IRCAM", codec="PCM_16"), FRAMES, LEVEL),
    "paf": (lambda: encoded(container="PAF", codec="PCM_16"), FRAMES, LEVEL),
    "pvf": (lambda: encoded(container="PVF", codec="PCM_16"), FRAMES, LEVEL),
    "flac": (lambda: encoded(container="FLAC"), FRAMES, LEVEL),
    "flac_24": (lambda: encoded(container="FLAC", codec="PCM_24"), FRAMES, LEVEL),
    "flac_unknown_length": (lambda: flac_count(encoded(container="FLAC"), 0), FRAMES, LEVEL),
    "flac_behind_tag": (lambda: TAG + encoded(container="FLAC"), FRAMES, LEVEL),
    "flac_before_tag": (lambda: encoded(container="FLAC") + b"TAG" + bytes(125), FRAMES, LEVEL),
    "flac_hour_of_silence": (lambda: hours_of_silence(3600), 3600 * RATE, 0.0),
    "vorbis": (lambda: encoded(**VORBIS), FRAMES, LEVEL),
    "vorbis_chained": (lambda: encoded(**VORBIS) * 3, 3 * FRAMES, LEVEL),
    "vorbis_mono_then_stereo": (lambda: encoded(**VORBIS) + encoded(STEREO, **VORBIS), 2 * FRAMES, LEVEL),
    "opus": (lambda: encoded(**OPUS), FRAMES, LEVEL),
    "opus_chained": (lambda: encoded(**OPUS) * 2, 2 * FRAMES, LEVEL),
    "ogg_flac": (lambda: film("ogg", "flac"), RATE // 2, LEVEL),
    "mp3": (lambda: encoded(LONG, container="MP3"), len(LONG), LEVEL),
    "mp3_with_tags": (
        lambda: TAG + encoded(LONG, container="MP3") + b"TAG" + bytes(125),
        len(LONG),
        LEVEL,
    ),
    "m4a": (lambda: film("mp4", "aac"), RATE // 2, LEVEL),
    "mov_pcm": (lambda: film("mov", "pcm_s16le"), RATE // 2, LEVEL),
    "mkv_flac": (lambda: film("matroska", "flac"), RATE // 2, LEVEL),
    "webm_opus": (lambda: film("webm", "libopus", rate=48000), 24000, LEVEL),
    "aac_adts": (lambda: film("adts", "aac", seconds=2), 2 * RATE + 1024, LEVEL),
    "avi_pcm": (lambda: film("avi", "pcm_s16le"), RATE // 2, LEVEL),
    "flv_aac": (lambda: film("flv", "aac", rate=44100, seconds=1), 44100 + 1024, LEVEL),
    "mpegts_aac": (lambda: film("mpegts", "aac", seconds=2), 2 * RATE + 1024, LEVEL),
    "asf_wma": (lambda: film("asf", "wmav2", rate=44100, seconds=2), 2 * 44100, LEVEL),
    "film_with_sound": (film_with_sound, 4096, LEVEL),
}

# name: (bytes, words of the error)
UNSOUND: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "empty"),
    "one_byte": (lambda: b"R", "not audio"),
    "zeros": (lambda: bytes(5000), "zeros"),
    "random": (lambda: b"\x80\x01" + np.random.default_rng(1).bytes(5000), "not audio"),
    "text": (lambda: b"hello\n" * 50, "text"),
    "html": (lambda: b"<!DOCTYPE html><html></html>", "text"),
    "playlist": (lambda: b"#EXTM3U\nfile:///etc/passwd\n", "text"),
    "concat_script": (lambda: b"ffconcat version 1.0\nfile '/etc/passwd'\n", "text"),
    "pdf": (lambda: b"%PDF-1.7\n" + bytes(100), "PDF"),
    "png": (lambda: b"\x89PNG\r\n\x1a\n" + bytes(100), "PNG"),
    "jpeg": (lambda: b"\xff\xd8\xff\xe0" + bytes(100), "JPEG"),
    "zip": (lambda: b"PK\3\4" + bytes(100), "zip"),
    "midi": (lambda: b"MThd\0\0\0\6" + bytes(20), "MIDI"),
    "riff_webp": (lambda: b"RIFF\x20\0\0\0WEBP" + bytes(40), "not audio"),
    "wav_header_only": (lambda: wav(b""), "no samples"),
    "wav_header_cut": (lambda: wav()[:20], "no data chunk"),
    "wav_no_data": (lambda: wav()[:36], "no data chunk"),
    "wav_no_format": (lambda: wav().replace(b"fmt ", b"junk"), "not readable"),
    "wav_truncated": (lambda: _cut(wav(), 0.5), "truncated"),
    "wav_truncated_by_1": (lambda: wav()[:-1], "truncated"),
    "wav_declares_less": (lambda: wav(size=len(PCM) // 2), "lies about its length"),
    "wav_twice": (lambda: wav() * 2, "lies about its length"),
    "wav_rate_0": (lambda: wav(rate=0), "rate is 0 Hz"),
    "wav_rate_1": (lambda: wav(rate=1), "rate is 1 Hz"),
    "wav_rate_huge": (lambda: wav(rate=2**32 - 1), "rate is"),
    "wav_channels_0": (lambda: wav(channels=0), "0 channels"),
    "wav_channels_65": (lambda: wav(channels=65), "65 channels"),
    "wav_channels_65535": (lambda: wav(channels=65535), "65535 channels"),
    "wav_bits_0": (lambda: wav(bits=0), "not readable"),
    "wav_bits_7777": (lambda: wav(bits=7777), "not readable"),
    "wav_unknown_codec": (lambda: wav(tag=0x7777), "not readable"),
    "wav_nan": (lambda: _floats({700: np.nan}), "nan at 0.087500 s"),
    "wav_nan_last": (lambda: _floats({FRAMES - 1: np.nan}), "nan at 0.199875 s"),
    "wav_infinite": (lambda: _floats({3: -np.inf}), "-inf at"),
    "wav_absurd": (lambda: _floats({3: 3e38}), "3e+38 at"),
    "wav_double_overflow": (lambda: encoded(np.full(9, 1e300), codec="DOUBLE"), "inf at 0.000000 s"),
    "wav_canceling_infinities": (
        lambda: encoded(np.array([[np.inf, -np.inf]] * 9), codec="FLOAT"),
        "inf at 0.000000 s",
    ),
    "rf64_truncated": (lambda: _cut(encoded(container="RF64"), 0.5), "truncated"),
    "w64_truncated": (lambda: _cut(encoded(container="W64"), 0.5), "truncated"),
    "aiff_truncated": (lambda: _cut(encoded(container="AIFF"), 0.5), "truncated"),
    "aiff_rate_rounds_to_0": (lambda: _aiff_rate(0x3FF0, 1 << 63), "rate is"),
    "aiff_rate_1_hz": (lambda: _aiff_rate(0x3FFF, 1 << 63), "rate is 1 Hz"),
    "aiff_rate_negative": (lambda: _aiff_rate(0xC00C, 0xFA << 56), "rate is -"),
    "aiff_rate_infinite": (lambda: _aiff_rate(0x7FFF, 1 << 63), "rate is"),
    "aiff_frames_lie": (
        lambda: after(encoded(container="AIFF"), b"COMM", b"\0\0\3\x20", skip=6),
        "lies",
    ),
    "aiff_no_sound": (lambda: encoded(container="AIFF").replace(b"SSND", b"XXXX"), "no SSND chunk"),
    "svx_truncated": (lambda: _cut(encoded(container="SVX"), 0.5), "truncated"),
    "au_truncated": (lambda: _au(len(PCM) * 2), "truncated"),
    "au_declares_less": (lambda: _au(len(PCM) // 2), "lies about its length"),
    "au_rate_0": (lambda: _au(len(PCM), rate=0), "rate is 0 Hz"),
    "caf_truncated": (lambda: _cut(encoded(LONG, container="CAF"), 0.7), "truncated"),
    "nist_truncated": (lambda: _cut(encoded(container="NIST", codec="PCM_16"), 0.7), "truncated"),
    "flac_header_only": (lambda: encoded(container="FLAC")[:42], "truncated"),
    "flac_truncated": (lambda: _cut(encoded(LONG, container="FLAC"), 0.6), "truncated"),
    "flac_declares_less": (lambda: flac_count(encoded(LONG, container="FLAC"), 800), "lies about its length"),
    "flac_declares_more": (lambda: flac_count(encoded(container="FLAC"), 99999), "truncated"),
    "flac_flipped": (lambda: _flipped(encoded(NOISE, container="FLAC")), "corrupt"),
    "flac_unknown_length_truncated": (
        lambda: flac_count(_cut(encoded(LONG, container="FLAC"), 0.6), 0),
        "truncated",
    ),
    "vorbis_truncated": (lambda: _cut(encoded(NOISE, **VORBIS), 0.6), "truncated"),
    "vorbis_flipped": (lambda: _flipped(encoded(NOISE, **VORBIS)), "checksum"),
    "vorbis_header_only": (lambda: encoded(**VORBIS)[:58], "truncated"),
    "vorbis_two_rates": (
        lambda: encoded(**VORBIS) + encoded(rate=16000, **VORBIS),
        "rate changes inside the file",
    ),
    "opus_truncated": (lambda: _cut(encoded(NOISE, **OPUS), 0.6), "truncated"),
    "opus_then_junk": (lambda: encoded(**OPUS) + b"\x11" * 900, "corrupt"),
    "mp3_truncated": (lambda: _cut(encoded(LONG, container="MP3"), 0.6), "truncated"),
    "mp3_twice": (lambda: encoded(LONG, container="MP3") * 2, "lies about its length"),
    "mp3_hole": (lambda: patched(encoded(LONG, container="MP3"), 2000, bytes(1500)), "corrupt"),
    "mp3_tag_only": (lambda: TAG, "not audio"),
    "m4a_truncated": (lambda: _cut(film("mp4", "aac"), 0.6), "truncated"),
    "m4a_faststart_truncated": (
        lambda: _cut(film("mp4", "aac", seconds=2, options={"movflags": "faststart"}), 0.6),
        "truncated",
    ),
    "mkv_truncated": (lambda: _cut(film("matroska", "flac"), 0.6), "truncated"),
    "adts_truncated": (lambda: film("adts", "aac", seconds=2)[:-9], "truncated"),
    "mpegts_truncated": (lambda: film("mpegts", "aac", seconds=2)[:-9], "truncated"),
    "avi_truncated": (lambda: _cut(film("avi", "pcm_s16le"), 0.6), "truncated"),
    "film_without_sound": (silent_film, "no audio track"),
    "mp4_of_noise": (lambda: b"\0\0\0\x18ftypM4A " + np.random.default_rng(2).bytes(3000), "corrupt"),
    "mkv_of_noise": (lambda: b"\x1a\x45\xdf\xa3" + np.random.default_rng(3).bytes(3000), "not readable"),
}


def make_all(folder: Path) -> list[OddFile]:
    """Write every odd file into a folder, together with the odd names and the odd kinds of file."""
    files = [
        OddFile(name, _written(folder / name, make()), "ok", frames=frames, level=level)
        for name, (make, frames, level) in SOUND.items()
    ]
    files += [
        OddFile(name, _written(folder / name, make()), "error", words)
        for name, (make, words) in UNSOUND.items()
    ]
    return files + _odd_names(folder) + _odd_kinds(folder)


def _written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _odd_names(folder: Path) -> list[OddFile]:
    deep = folder.joinpath(*["d" * 200] * 7)
    deep.mkdir(parents=True)
    names = {
        "name_unicode": folder / "Ö 犬 🐕.wav",
        "name_newline": folder / "two\nlines.wav",
        "name_no_utf8": folder / os.fsdecode(b"caf\xe9.wav"),
        "name_dash": folder / "-rf.wav",
        "name_glob": folder / "[*]?.wav",
        "name_wrong_suffix": folder / "really_a_wav.mp3",
        "name_1400_bytes": deep / "deep.wav",
    }
    link = folder / "link.wav"
    link.symlink_to(folder / "wav_16")
    return [OddFile(name, _written(path, wav()), "ok") for name, path in names.items()] + [
        OddFile("link", link, "ok")
    ]


def _odd_kinds(folder: Path) -> list[OddFile]:
    (folder / "directory.wav").mkdir()
    os.mkfifo(folder / "fifo.wav")
    (folder / "loop.wav").symlink_to(folder / "loop.wav")
    (folder / "dangling.wav").symlink_to(folder / "nowhere")
    (folder / "device.wav").symlink_to("/dev/zero")
    here = Path.cwd()
    try:
        os.chdir(folder)  # the names of sockets are short
        with socket.socket(socket.AF_UNIX) as door:
            door.bind("socket.wav")
    finally:
        os.chdir(here)
    kinds = {
        "directory.wav": "a directory",
        "fifo.wav": "a named pipe",
        "socket.wav": "cannot be opened",
        "loop.wav": "symbolic links",
        "dangling.wav": "no such file",
        "missing.wav": "no such file",
        "device.wav": "a device",
    }
    files = [OddFile(name, folder / name, "error", words) for name, words in kinds.items()]
    files.append(OddFile("name_too_long", folder / ("n" * 300), "error", "too long"))
    if os.geteuid():  # root reads everything
        secret = _written(folder / "secret.wav", wav())
        secret.chmod(0)
        files.append(OddFile("unreadable", secret, "error", "permission denied"))
    return files
