"""PaSST's HDF5 packs and WebDataset's tar shards: clips within large files."""

import io
import json
import os
import signal
import subprocess
import sys
import tarfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark import audio
from earmark.audio import AudioError
from earmark.config import ConfigError
from earmark.data import Clip
from earmark.data.feeding.hdf5_pack import read_pack, read_row
from earmark.data.feeding.shards import check_shards, pack_shards, read_shards, stream_shards
from earmark.data.feeding.sounds import open_sounds, waveform
from earmark.data.preparation.packing import beside

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


def test_the_rows_of_a_pack_are_clips_with_their_labels(pack, held):
    clips = read_pack(pack, NAMES)
    assert [clip.row for clip in clips] == [0, 1, 2, 3]
    assert {clip.path for clip in clips} == {pack}
    for clip, row in zip(clips, held, strict=True):
        assert clip.labels == tuple(name for name, holds in zip(NAMES, row, strict=True) if holds)
        assert clip.unknown == ()


def test_openmics_packs_know_what_is_unknown(tmp_path, sounds):
    target = np.float32([[0.9, 0.2, 0.8, 0.5, 1, 1, 0, 1]] * 4)  # probabilities, and whether each is known
    path = write_pack(tmp_path / "openmic.hdf", sounds, target)
    clip = read_pack(path, ("a", "b", "c", "d"))[3]
    assert (clip.labels, clip.unknown) == (("a",), ("c",))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_row_is_heard_as_its_bytes_are(pack, sounds, workers, tmp_path):
    clips = read_pack(pack, NAMES)
    for opened in (open_sounds(clips, RATE, workers=workers), open_sounds(clips, RATE, tmp_path, workers)):
        for row in (0, 1, 3):
            assert np.abs(waveform(opened, row) - audio.load(sounds[row], RATE)).max() <= 2**-16
        with pytest.raises(AudioError, match=r"train_mp3\.hdf, row 2: not audio"):
            opened.read(2)
        assert list(opened.failures) == [2]


def test_stereo_rows_are_mixed_and_not_joined(tmp_path):
    left = noise(1.0, 5)
    path = write_pack(tmp_path / "a.hdf", [mp3(np.hstack([left, 0 * left]))], np.zeros((1, 2), np.uint8))
    [clip] = read_pack(path, NAMES)
    heard = waveform(open_sounds([clip], RATE, workers=0), 0)
    assert abs(len(heard) - RATE) < 2400
    assert abs(heard.std() / (left.std() / 2) - 1) < 0.15


def test_a_stretch_of_a_row_is_heard(pack, sounds):
    clip = read_pack(pack, NAMES)[1]._replace(start=0.25, end=0.5)
    heard = waveform(open_sounds([clip], RATE, workers=0), 0)
    assert np.abs(heard - audio.load(sounds[1], RATE)[4000:8000]).max() <= 2**-16


def test_rows_that_are_not_there_are_sentences(pack, tmp_path):
    for row in (4, -1):
        with pytest.raises(AudioError, match=f"has 4 rows; there is no row {row}"):
            read_row(pack, row)
    with pytest.raises(AudioError, match="cannot be opened as an HDF5 pack"):
        read_row(tmp_path / "none.hdf", 0)


def test_what_is_no_pack_is_a_sentence(pack, tmp_path, held):
    (tmp_path / "text.hdf").write_text("no HDF5")
    with h5py.File(tmp_path / "other.hdf", "w") as file:
        file["waveform"] = np.zeros((4, 100), np.int16)
    cases = {
        "none.hdf": "cannot be opened as an HDF5 pack",
        "text.hdf": "cannot be opened as an HDF5 pack",
        "other.hdf": "has no dataset 'mp3'",
    }
    for name, reason in cases.items():
        with pytest.raises(ConfigError, match=reason):
            read_pack(tmp_path / name, NAMES)
    for names in (NAMES[:8], NAMES + ("x",) * 10):
        with pytest.raises(ConfigError, match=f"not for {len(names)} labels"):
            read_pack(pack, tuple(f"{i} {name}" for i, name in enumerate(names)))
    if held[:, 9:].any():
        with pytest.raises(ConfigError, match="targets for more than 9 labels"):
            read_pack(pack, NAMES[:9])


def test_a_pack_may_not_read_other_files(pack, tmp_path):
    (tmp_path / "secret").write_bytes(bytes(64))
    with h5py.File(tmp_path / "link.hdf", "w") as file:
        file["mp3"] = h5py.ExternalLink(str(pack), "mp3")
        file["target"] = np.zeros((4, 2), np.uint8)
    with h5py.File(tmp_path / "soft.hdf", "w") as file:
        file["mp3"] = h5py.SoftLink("/elsewhere")
    with h5py.File(tmp_path / "external.hdf", "w") as file:
        where = [(str(tmp_path / "secret"), 0, 64)]
        file.create_dataset("mp3", (64,), dtype=np.uint8, external=where)
        file["target"] = np.zeros((64, 2), np.uint8)
    with h5py.File(tmp_path / "virtual.hdf", "w") as file:
        layout = h5py.VirtualLayout(shape=(4,), dtype=h5py.vlen_dtype(np.uint8))
        layout[:] = h5py.VirtualSource(str(pack), "mp3", shape=(4,))
        file.create_virtual_dataset("mp3", layout)
    for name in ("link", "soft", "external", "virtual"):
        for read in (lambda path: read_pack(path, NAMES), lambda path: read_row(path, 0)):
            with pytest.raises((ConfigError, AudioError), match="only sound in the file itself is read"):
                read(tmp_path / f"{name}.hdf")


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


SMALL = 20_000


def test_packed_clips_sound_and_are_called_as_before(corpus, tmp_path):
    packed = pack_shards(corpus, tmp_path / "shards", SMALL)
    assert len({clip.path for clip in packed[:-1]}) > 2
    assert packed[-1] == corpus[-1]
    assert read_shards(tmp_path / "shards") == packed[:-1]
    before, after = open_sounds(corpus, RATE, workers=0), open_sounds(packed, RATE, workers=0)
    for index in range(len(corpus) - 1):
        assert packed[index].labels == corpus[index].labels
        assert packed[index].unknown == corpus[index].unknown
        np.testing.assert_array_equal(after.read(index), before.read(index))
        assert after.scale(index) == before.scale(index)
    assert check_shards(tmp_path / "shards") == []


def test_shards_stream_in_order_with_the_bytes_of_the_files(corpus, tmp_path):
    packed = pack_shards(corpus, tmp_path / "shards", SMALL)
    streamed = list(stream_shards(tmp_path / "shards"))
    assert [clip for clip, _ in streamed] == packed[:-1]
    for clip, (_, data) in zip(corpus[:5], streamed, strict=False):
        assert data == clip.path.read_bytes()


def test_webdataset_reads_our_shards(corpus, tmp_path):
    pytest.importorskip("webdataset", reason="needs the extra [data]")
    pack_shards(corpus, tmp_path / "shards", SMALL)
    paths = sorted(str(path) for path in (tmp_path / "shards").glob("*.tar"))
    program = """
import json, sys, webdataset, zlib
for sample in webdataset.WebDataset(sys.argv[1:], shardshuffle=False):
    sound = next(value for kind, value in sample.items() if kind in ("wav", "ogg", "flac", "mp3"))
    print(json.dumps([json.loads(sample["json"])["labels"], zlib.crc32(sound)]))
"""  # in a process of its own, as it leaves its files open
    run = subprocess.run([sys.executable, "-c", program, *paths], capture_output=True, text=True, check=True)
    samples = [json.loads(line) for line in run.stdout.splitlines()]
    assert [labels for labels, _ in samples] == [list(clip.labels) for clip in corpus[:-1]]
    assert [crc for _, crc in samples[:5]] == [zlib.crc32(clip.path.read_bytes()) for clip in corpus[:5]]


def test_shards_that_webdataset_wrote_are_read(corpus, tmp_path):
    webdataset = pytest.importorskip("webdataset", reason="needs the extra [data]")
    with webdataset.TarWriter(str(tmp_path / "theirs.tar")) as sink:
        for index, clip in enumerate(corpus[:3]):
            kind = clip.path.suffix[1:]
            about = {"label": "Dog"} if index else {"labels": ["Dog", "Rain"]}
            sink.write(
                {"__key__": f"a long folder/{'x' * 120}{index}", kind: clip.path.read_bytes(), "json": about}
            )
    clips = read_shards(tmp_path)
    assert [clip.labels for clip in clips] == [("Dog", "Rain"), ("Dog",), ("Dog",)]
    sounds = open_sounds([*clips, *corpus[:3]], RATE, workers=0)
    for index in (2, 0, 1):
        np.testing.assert_array_equal(sounds.read(index), sounds.read(index + 3))


PACK = """
import sys
from pathlib import Path
from earmark.data import Clip
from earmark.data.feeding.shards import pack_shards
clips = [Clip(path, ("Dog",)) for path in sorted(Path(sys.argv[1]).glob("*"))]
pack_shards(clips, Path(sys.argv[2]), 1, lambda done, total: print(done, flush=True))
"""


def test_a_pack_that_was_killed_goes_on_and_ends_with_the_same_bytes(corpus, tmp_path):
    files, out = corpus[0].path.parent, tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", PACK, files, out], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if int(line) == 3:
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    process.wait()
    finished = {path: path.stat().st_mtime_ns for path in list(out.glob("*.clips.json"))[:3]}
    assert len(finished) == 3
    clips = [Clip(path, ("Dog",)) for path in sorted(files.glob("*"))]
    if not (out / "shards.json").exists():
        with pytest.raises(ConfigError, match="was not finished"):
            read_shards(out)
    pack_shards(clips, out, 1)
    pack_shards(clips, tmp_path / "whole", 1)
    assert all(path.stat().st_mtime_ns == when for path, when in finished.items())
    names = sorted(path.name for path in (tmp_path / "whole").glob("s*"))
    assert len(names) == 2 * len(clips) + 1
    assert all((out / name).read_bytes() == (tmp_path / "whole" / name).read_bytes() for name in names)


def test_a_corpus_that_changed_is_packed_again(corpus, tmp_path):
    pack_shards(corpus[:5], tmp_path / "shards", 1)
    soundfile.write(corpus[3].path, noise(1.5, 99), RATE)
    packed = pack_shards(corpus[:5], tmp_path / "shards", 1)
    assert check_shards(tmp_path / "shards") == []
    sounds = open_sounds([packed[3], corpus[3]], RATE, workers=0)
    np.testing.assert_array_equal(sounds.read(0), sounds.read(1))


def test_truncated_and_altered_shards_are_sentences(corpus, tmp_path):
    folder = tmp_path / "shards"
    packed = pack_shards(corpus[:5], folder)
    shard, whole = packed[0].path, packed[0].path.read_bytes()
    cases: dict[str, tuple[bytes, str]] = {
        "cut": (whole[: len(whole) // 2], "truncated: it has"),
        "longer": (whole + b"x", "altered: it has"),
        "altered": (whole[:3000] + bytes([whole[3000] ^ 1]) + whole[3001:], "SHA-256"),
    }
    for data, reason in cases.values():
        shard.write_bytes(data)
        assert any(reason in sentence for sentence in check_shards(folder))
        if reason != "SHA-256":
            with pytest.raises(ConfigError, match=reason):
                read_shards(folder)
    sounds = open_sounds(packed, RATE, workers=0)
    with pytest.raises(AudioError, match=r"row 0: the shard cannot be read: altered"):
        sounds.read(0)
    assert len(sounds.read(1)) > 0
    with pytest.raises(ConfigError, match="cannot be read as a shard: altered"):
        list(stream_shards(folder))
    shard.write_bytes(whole[: packed[3].row + 700])
    with pytest.raises(AudioError, match="truncated"):
        open_sounds(packed, RATE, workers=0).read(3)
    shard.unlink()
    with pytest.raises(ConfigError, match="is missing"):
        read_shards(folder)
    with pytest.raises(AudioError, match="No such file"):
        open_sounds(packed, RATE, workers=0).read(2)


def test_folders_without_good_shards_are_sentences(corpus, tmp_path):
    with pytest.raises(ConfigError, match="no shards under"):
        read_shards(tmp_path / "nothing")
    folder = tmp_path / "shards"
    pack_shards(corpus[:2], folder)
    index = (folder / "shards.json").read_text()
    for damaged in (
        "{",
        "[]",
        '{"format": "other"}',
        index.replace("shard-", "../shard-"),
        index.replace("bytes", "b"),
    ):
        (folder / "shards.json").write_text(damaged)
        with pytest.raises(ConfigError, match=r"shards\.json"):
            read_shards(folder)
    (folder / "shards.json").write_text(index)
    beside(folder / "shard-000000.tar").write_text('{"rows": [0]}')
    with pytest.raises(ConfigError, match="is damaged; pack the corpus again"):
        read_shards(folder)
    (tmp_path / "foreign").mkdir()
    with tarfile.open(tmp_path / "foreign" / "a.tar", "w") as tar:
        tar.add(corpus[0].path, "0.wav")
    with pytest.raises(ConfigError, match="a clip without labels"):
        read_shards(tmp_path / "foreign")


def test_too_little_room_for_shards_is_said_beforehand(corpus, tmp_path, monkeypatch):
    from earmark.data.preparation import packing

    usage = packing.shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(packing.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(OSError, match=r"the shards take \d+ bytes and 1000 are free"):
        pack_shards(corpus, tmp_path / "shards")
    assert not list((tmp_path / "shards").glob("*.tar"))


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_each_process_opens_a_pack_for_itself(pack):
    sounds = open_sounds(read_pack(pack, NAMES), RATE, workers=0)
    expected = sounds.read(0).tobytes()
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        os.write(writer, sounds.read(3).tobytes()[:1000] + sounds.read(0).tobytes()[:1000])
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 4000)[1000:] == expected[:1000]
    assert sounds.read(3).tobytes()[:1000] != expected[:1000]
