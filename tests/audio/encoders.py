"""Makers of small sound files, sound and unsound, byte by byte where no encoder would do it."""

import io
import struct
import tempfile

import av
import numpy as np
import soundfile as sf

RATE = 8000
FRAMES = 1600
"""0.2 s."""
LEVEL = 0.5 / 2**0.5
"""Root mean square of `TONE`."""
TONE = (0.5 * np.sin(2 * np.pi * 440 * np.arange(FRAMES) / RATE)).astype(np.float32)
PCM = (TONE * 32767).astype("<i2").tobytes()


def encoded(samples=TONE, rate=RATE, container="WAV", codec=None, endian=None, **options):
    """The bytes that libsndfile writes."""
    file = io.BytesIO()
    sf.write(file, samples, rate, format=container, subtype=codec, endian=endian, **options)
    return file.getvalue()


def wav(
    body=PCM,
    *,
    tag=1,
    channels=1,
    rate=RATE,
    bits=16,
    big=False,
    size=None,
    riff=None,
    before=b"",
    after=b"",
):
    """A RIFF or RIFX file with any header at all."""
    order = ">" if big else "<"
    align = channels * bits // 8
    fmt = struct.pack(order + "HHIIHH", tag, channels, rate, rate * align & 0xFFFFFFFF, align & 0xFFFF, bits)
    size = len(body) if size is None else size
    chunks = b"fmt " + struct.pack(order + "I", len(fmt)) + fmt + before
    chunks += b"data" + struct.pack(order + "I", size) + body + after
    riff = 4 + len(chunks) if riff is None else riff
    return (b"RIFX" if big else b"RIFF") + struct.pack(order + "I", riff) + b"WAVE" + chunks


def patched(data, offset, value):
    """The bytes with some of them replaced."""
    return data[:offset] + value + data[offset + len(value) :]


def after(data, name, value, skip=0):
    """The bytes with those that follow a name replaced."""
    return patched(data, data.index(name) + len(name) + skip, value)


def flac_count(data, count):
    """A flac file whose header declares another count of samples."""
    fields = int.from_bytes(data[18:26], "big") >> 36 << 36 | count
    return patched(data, 18, fields.to_bytes(8, "big"))


def film(container, codec, *, rate=RATE, seconds=0.5, layout="mono", options=None):
    """The bytes that FFmpeg writes."""
    count = int(rate * seconds)
    tone = (0.5 * np.sin(2 * np.pi * 440 * np.arange(count) / rate)).astype(np.float32)
    with tempfile.NamedTemporaryFile() as file:  # an index is moved to the start by reading again
        _write_film(file.name, container, codec, rate, layout, tone, options or {})
        return file.read()


def _write_film(path, container, codec, rate, layout, tone, options):
    with av.open(path, "w", format=container, options=options) as output:
        stream = output.add_stream(codec, rate=rate, layout=layout)
        stream.bit_rate = 64000
        resampler = av.AudioResampler(stream.codec_context.format, layout, rate)
        for start in range(0, len(tone), 1024):
            frame = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], "fltp", "mono")
            frame.sample_rate, frame.pts = rate, start
            for piece in resampler.resample(frame):
                output.mux(stream.encode(piece))
        output.mux(stream.encode(None))


def silent_film():
    """A video without a sound track."""
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as output:
        stream = output.add_stream("mpeg4", rate=10)
        stream.width = stream.height = 32
        output.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        output.mux(stream.encode(None))
    return file.getvalue()


def film_with_sound():
    """A video with a sound track, which comes second."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as output:
        video = output.add_stream("mpeg4", rate=10)
        video.width = video.height = 32
        sound = output.add_stream("aac", rate=RATE, layout="mono")
        output.mux(video.encode(av.VideoFrame(32, 32, "yuv420p")))
        for start in range(0, 4096, 1024):
            frame = av.AudioFrame.from_ndarray(np.resize(TONE, (1, 1024)), "fltp", "mono")
            frame.sample_rate, frame.pts = RATE, start
            output.mux(sound.encode(frame))
        output.mux(video.encode(None))
        output.mux(sound.encode(None))
    return file.getvalue()


def hours_of_silence(seconds):
    """A flac of silence, some bytes for each second."""
    file = io.BytesIO()
    with sf.SoundFile(file, "w", RATE, 1, format="FLAC") as output:
        block = np.zeros(RATE * 60, np.int16)
        for _ in range(seconds // 60):
            output.write(block)
    return file.getvalue()
