"""WebDataset's tar shards: they hold the clips of a corpus, byte by byte, and survive a kill."""

import json
import signal
import subprocess
import sys
import tarfile
import zlib

import numpy as np
import pytest
import soundfile

from data.packs import RATE, corpus, held, noise, pack, sounds
from earmark.audio import AudioError
from earmark.config import ConfigError
from earmark.data import Clip
from earmark.data.feeding.shards import check_shards, pack_shards, read_shards, stream_shards
from earmark.data.feeding.sounds import open_sounds
from earmark.data.preparation.packing import beside

__all__ = ["corpus", "held", "pack", "sounds"]


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
