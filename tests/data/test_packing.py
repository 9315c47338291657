"""Packs: Parquet and tar shards hold the clips of a corpus, byte by byte, and survive a kill."""

import io
import json
import os
import signal
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from data.packs import RATE, corpus, held, noise, pack, sounds
from earmark import audio
from earmark.config import ConfigError
from earmark.data import Clip
from earmark.data.feeding.decoding import Place, encoded
from earmark.data.feeding.sounds import open_sounds
from earmark.data.packs import crew
from earmark.data.packs.checking import check_pack
from earmark.data.packs.contents import clips_of, contents
from earmark.data.packs.index import Index
from earmark.data.packs.rows import Packing, Row
from earmark.data.packs.writing import write_pack

pytest.importorskip("pyarrow", reason="Parquet packs need the extra [data]")

__all__ = ["corpus", "held", "pack", "sounds"]

SMALL = Packing(shard_mb=0.02)
BOTH = pytest.mark.parametrize("to", ["parquet", "webdataset"])


def write(
    rows: list[Row], folder: Path, packing: Packing | None = None, workers: int = 0, *more: Any
) -> Index:
    return write_pack(rows, folder, packing, workers, *more)


def rows_of(clips: list[Clip]) -> list[Row]:
    return [
        Row(f"of {index}/{clip.path.name}", clip, "train", index % 3, f"group {index}")
        for index, clip in enumerate(clips)
    ]


def data_of(clip: Clip) -> bytes:
    found = encoded(Place(str(clip.path), clip.row, 0, None))
    return found if isinstance(found, bytes) else Path(found).read_bytes()


def files(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".lock")}


@BOTH
def test_packed_clips_sound_and_are_called_as_before(corpus, tmp_path, to):
    rows = rows_of(corpus)
    index = write(rows, tmp_path / "out", SMALL.replace(to=to))
    found = contents(tmp_path / "out")
    listed = list(found.clips)
    assert len(index.shards) > 2
    assert [one.name for one in listed] == [row.name for row in rows[:-1]]
    for row, one in zip(rows, listed, strict=False):
        said = dict(zip(found.fields, one.said, strict=True))
        assert tuple(said["labels"]) == row.clip.labels
        assert tuple(said["unknown"] or ()) == row.clip.unknown
        assert (said["split"], said["fold"], said["group"]) == (row.split, row.fold, row.group)
        cut = row.clip.start > 0
        assert (said["source_start"], said["source_end"]) == (
            (row.clip.start, row.clip.end) if cut else (None, None)
        )
    packed = [clip for _, clip in clips_of(tmp_path / "out")]
    before, after = open_sounds(corpus, RATE, workers=0), open_sounds(packed, RATE, workers=0)
    for place in np.random.default_rng(0).permutation(len(packed)).tolist():
        np.testing.assert_array_equal(after.read(place), before.read(place))
        assert after.scale(place) == before.scale(place)
    for clip, one in zip(corpus[:5], packed, strict=False):
        assert data_of(one) == clip.path.read_bytes()


@BOTH
def test_a_clip_that_cannot_be_read_is_named_and_nothing_else_is_lost(corpus, tmp_path, to):
    broken = corpus[1].path
    broken.write_bytes(b"")
    index = write(rows_of(corpus), tmp_path / "out", SMALL.replace(to=to))
    assert index.clips == len(corpus) - 2
    assert [one.name for one in index.unreadable] == [f"of 1/{broken.name}", "of 8/gone.wav"]
    assert "the file is empty" in index.unreadable[0].reason or "0 bytes" in index.unreadable[0].reason
    assert "gone.wav" in index.unreadable[1].reason
    again = write(rows_of(corpus), tmp_path / "out", SMALL.replace(to=to))
    assert again == index


def test_two_workers_write_the_bytes_of_one(corpus, tmp_path):
    rows = [row for row in rows_of(corpus) if row.clip.start == 0]
    steps: list[int] = []
    write(rows, tmp_path / "one", SMALL)
    write(rows, tmp_path / "two", SMALL, 2, "", lambda done, _: steps.append(done))
    assert files(tmp_path / "one") == files(tmp_path / "two")
    assert steps == list(range(1, len(rows) + 1))


@pytest.mark.slow
@pytest.mark.parametrize("encode", ["flac", "opus", "int16"])
@BOTH
def test_two_workers_encode_the_bytes_of_one(corpus, tmp_path, to, encode):
    packing = SMALL.replace(to=to, encode=encode, rate=24000)
    write(rows_of(corpus), tmp_path / "one", packing)
    write(rows_of(corpus), tmp_path / "two", packing, 2)
    assert files(tmp_path / "one") == files(tmp_path / "two")


@pytest.mark.slow
def test_a_writer_that_is_killed_is_replaced_and_the_bytes_are_the_same(corpus, tmp_path, monkeypatch):
    rows = [row for row in rows_of(corpus) if row.clip.start == 0]
    write(rows, tmp_path / "one", SMALL)
    victims: list[int] = []
    started = crew._started

    def watched() -> subprocess.Popen[bytes]:
        process = started()
        if not victims:
            victims.append(process.pid)
            process.kill()
        return process

    monkeypatch.setattr(crew, "_started", watched)
    write(rows, tmp_path / "two", SMALL, 2)
    assert victims
    assert files(tmp_path / "one") == files(tmp_path / "two")
    monkeypatch.setattr(crew, "_started", lambda: [process := started(), process.kill()][0])
    with pytest.raises(crew.WriterError, match="lost twice"):
        write(rows, tmp_path / "three", SMALL, 2)


KILLED = """
import sys
from pathlib import Path
from typing import Any
from earmark.data import Clip
from earmark.data.packs.rows import Packing, Row
from earmark.data.packs.writing import write_pack
rows = [Row(path.name, Clip(path, ("Dog",))) for path in sorted(Path(sys.argv[1]).glob("*"))]
write_pack(rows, Path(sys.argv[2]), Packing(shard_mb=1e-6), 1, "", lambda done, _: print(done, flush=True))
"""


def test_a_pack_that_was_killed_goes_on_and_ends_with_the_same_bytes(corpus, tmp_path):
    folder, out = corpus[0].path.parent, tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", KILLED, folder, out], stdout=subprocess.PIPE, text=True)
    for line in process.stdout:
        if int(line) == 4:
            process.send_signal(signal.SIGKILL)
            break
    process.stdout.close()
    process.wait()
    finished = {path: path.stat().st_mtime_ns for path in list(out.glob(".data-0000[012]*.json"))}
    assert len(finished) == 3
    if not (out / "pack.json").exists():
        with pytest.raises(ConfigError, match="was not finished"):
            list(contents(out).clips)
    rows = [Row(path.name, Clip(path, ("Dog",))) for path in sorted(folder.glob("*"))]
    (out / ".0123456789abcdef.tmp").write_bytes(b"half a shard")
    write(rows, out, Packing(shard_mb=1e-6))
    write(rows, tmp_path / "whole", Packing(shard_mb=1e-6))
    assert all(path.stat().st_mtime_ns == when for path, when in finished.items())
    assert len(files(out)) == 2 * len(rows) + 1
    assert files(out) == files(tmp_path / "whole")


def test_a_corpus_that_changed_is_packed_again_and_old_shards_go(corpus, tmp_path):
    rows = rows_of(corpus[:5])
    write(rows, tmp_path / "out", Packing(shard_mb=1e-6))
    before = files(tmp_path / "out")
    soundfile.write(corpus[3].path, noise(1.5, 99), RATE)
    write(rows, tmp_path / "out", Packing(shard_mb=1e-6))
    changed = {name for name, data in files(tmp_path / "out").items() if before[name] != data}
    assert changed == {"pack.json", "data-00003-of-00005.parquet", ".data-00003-of-00005.parquet.json"}
    assert data_of(clips_of(tmp_path / "out")[3][1]) == corpus[3].path.read_bytes()
    write(rows[:3], tmp_path / "out", Packing(shard_mb=1e-6))
    assert check_pack(tmp_path / "out") == (3, 3, [])
    assert len(files(tmp_path / "out")) == 7


def test_another_pack_is_not_overwritten_nor_the_sounds(corpus, tmp_path):
    write(rows_of(corpus[:2]), tmp_path / "out", SMALL, 0, "birds.csv")
    for packing, source, reason in (
        (SMALL, "frogs.csv", "holds a finished pack of 'birds.csv'"),
        (SMALL.replace(to="webdataset"), "birds.csv", "holds a finished pack with other settings"),
    ):
        with pytest.raises(ConfigError, match=reason):
            write(rows_of(corpus[:2]), tmp_path / "out", packing, 0, source)
    with pytest.raises(ConfigError, match="is where the sounds are"):
        write(rows_of(corpus[:2]), corpus[0].path.parent, SMALL)
    with pytest.raises(ConfigError, match="no clips to pack"):
        write([], tmp_path / "none", SMALL)


def test_a_file_of_others_that_is_called_like_a_shard_stays(corpus, tmp_path):
    (tmp_path / "hub").mkdir()
    theirs = tmp_path / "hub" / "data-00000-of-00001.parquet"
    theirs.write_bytes(b"of the hub")
    with pytest.raises(ConfigError, match=r"data-00000-of-00001\.parquet is called like a file of a pack"):
        write(rows_of(corpus[:2]), tmp_path / "hub")
    assert theirs.read_bytes() == b"of the hub"


def test_a_shard_that_was_written_over_and_cut_off_is_not_taken_for_the_earlier_one(tmp_path, monkeypatch):
    clips = [Clip(tmp_path / f"{name}.wav", ("Dog",)) for name in "ab"]
    for seed, clip in enumerate(clips):
        soundfile.write(clip.path, noise(0.1, seed), RATE)
    first, second = ([Row("dog.wav", clip)] for clip in clips)
    write(first, tmp_path / "out")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("hashlib.file_digest", killed)
        with pytest.raises(KeyboardInterrupt):
            write(second, tmp_path / "out")
    write(first, tmp_path / "out")
    assert data_of(clips_of(tmp_path / "out")[0][1]) == clips[0].path.read_bytes()
    assert check_pack(tmp_path / "out").wrong == []


def encoded_anew(
    sound: np.ndarray, tmp_path: Path, packing: Packing, subtype: str = "PCM_16"
) -> tuple[bytes, Index]:
    soundfile.write(tmp_path / "a.wav", sound, RATE, subtype=subtype)
    index = write([Row("a.wav", Clip(tmp_path / "a.wav", ()))], tmp_path / "out", packing)
    [(_, clip)] = clips_of(tmp_path / "out")
    return data_of(clip), index


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_flac_loses_nothing(tmp_path, subtype):
    sound = np.random.default_rng(0).uniform(-1, 1, 4000)
    sound[:2] = (-1, 32767 / 32768)
    data, _ = encoded_anew(sound, tmp_path, Packing(encode="flac"), subtype)
    np.testing.assert_array_equal(audio.load(data, RATE), audio.load(tmp_path / "a.wav", RATE))
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert (file.format, file.subtype) == ("FLAC", subtype)


def test_int16_is_within_half_a_step(tmp_path):
    data, _ = encoded_anew(noise(0.3, 1), tmp_path, Packing(encode="int16"), "PCM_24")
    with soundfile.SoundFile(io.BytesIO(data)) as file:
        assert (file.format, file.subtype, file.samplerate) == ("WAV", "PCM_16", RATE)
    assert np.abs(audio.load(data, RATE) - audio.load(tmp_path / "a.wav", RATE)).max() <= 2**-16


@pytest.mark.parametrize(
    ("own", "given", "rate"), [(16000, None, 16000), (22050, None, 24000), (44100, 16000, 16000)]
)
def test_opus_has_a_rate_that_it_knows_and_the_length_of_the_sound(tmp_path, own, given, rate):
    time = np.arange(own) / own
    tone = 0.5 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(tmp_path / "a.wav", tone, own)
    write([Row("a.wav", Clip(tmp_path / "a.wav", ()))], tmp_path / "out", Packing(encode="opus", rate=given))
    info = audio.probe(data := data_of(clips_of(tmp_path / "out")[0][1]))
    assert (info.sample_rate, info.seconds) == (rate, 1.0)
    heard = audio.load(data, own)[own // 4 : -own // 4]
    assert np.corrcoef(heard, tone[own // 4 : -own // 4])[0, 1] > 0.99


@pytest.mark.parametrize("encode", ["flac", "int16"])
def test_what_is_louder_than_full_scale_is_not_clipped(tmp_path, encode):
    _, index = encoded_anew(2 * noise(0.3, 1), tmp_path, Packing(encode=encode), "FLOAT")
    assert index.loud == 0
    (tmp_path / "out" / "pack.json").unlink()
    data, index = encoded_anew(5 * noise(0.3, 1), tmp_path, Packing(encode=encode), "FLOAT")
    assert index.loud == 1
    np.testing.assert_array_equal(audio.load(data, RATE), audio.load(tmp_path / "a.wav", RATE))


def test_opus_is_as_loud_as_what_it_was_made_of(tmp_path):
    time = np.arange(RATE) / RATE
    tone = 3.0 * np.sin(2 * np.pi * 440 * time)[:, None]
    data, index = encoded_anew(tone, tmp_path, Packing(encode="opus"), "FLOAT")
    heard = audio.load(data, RATE)[RATE // 4 : -RATE // 4]
    assert index.loud == 0
    assert np.abs(heard - tone[RATE // 4 : -RATE // 4, 0]).max() < 0.2


def test_impossible_settings_are_sentences():
    for settings, reason in (
        ({"rate": 16000}, "needs sounds that are encoded anew"),
        (
            {"encode": "opus", "rate": 44100},
            "Opus has no rate of 44100 Hz; give 8000, 12000, 16000, 24000 or 48000",
        ),
        ({"encode": "mp3"}, "encode"),
        ({"shard_mb": 0.0}, "shard_mb"),
    ):
        with pytest.raises(ConfigError, match=reason):
            Packing(**settings)


def test_webdataset_reads_our_tars(corpus, tmp_path):
    pytest.importorskip("webdataset", reason="needs the extra [data]")
    write(rows_of(corpus), tmp_path / "out", SMALL.replace(to="webdataset"))
    paths = sorted(str(path) for path in (tmp_path / "out").glob("*.tar"))
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


def test_tars_that_webdataset_wrote_are_read(corpus, tmp_path):
    webdataset = pytest.importorskip("webdataset", reason="needs the extra [data]")
    with webdataset.TarWriter(str(tmp_path / "theirs.tar")) as sink:
        for index, clip in enumerate(corpus[:3]):
            kind = clip.path.suffix[1:]
            about = {"label": "Dog"} if index else {"labels": ["Dog", "Rain"]}
            sink.write(
                {"__key__": f"a long folder/{'x' * 120}{index}", kind: clip.path.read_bytes(), "json": about}
            )
    found = list(contents(tmp_path).clips)
    assert [one.said[0] for one in found] == [("Dog", "Rain"), ("Dog",), ("Dog",)]
    clips = [clip for _, clip in clips_of(tmp_path / "theirs.tar")]
    assert [data_of(clip) for clip in clips] == [clip.path.read_bytes() for clip in corpus[:3]]


def test_parquet_names_its_sounds_as_the_hub_does(corpus, tmp_path):
    import pyarrow.parquet as parquet

    write(rows_of(corpus), tmp_path / "out", SMALL)
    path = tmp_path / "out" / "data-00000-of-00008.parquet"
    schema = parquet.read_schema(path)
    features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
    assert features["audio"] == {"_type": "Audio"}
    assert list(features) == schema.names
    assert str(schema.field("audio").type) == "struct<bytes: binary, path: string>"


def test_rows_of_parquet_are_read_without_their_neighbors(tmp_path):
    import pyarrow.parquet as parquet

    from earmark.data.packs.parquet import GROUP_BYTES

    soundfile.write(tmp_path / "a.wav", noise(3.0, 1), RATE)
    size = (tmp_path / "a.wav").stat().st_size
    rows = [Row(f"{index}.wav", Clip(tmp_path / "a.wav", ())) for index in range(12)]
    write(rows, tmp_path / "out")
    found = parquet.ParquetFile(tmp_path / "out" / "data-00000-of-00001.parquet").metadata
    groups = [found.row_group(index) for index in range(found.num_row_groups)]
    assert len(groups) > 3
    assert all(group.num_rows * size < GROUP_BYTES + size for group in groups)


def test_too_little_room_is_said_beforehand_and_a_full_disk_keeps_what_is_done(corpus, tmp_path, monkeypatch):
    from earmark.data.packs import shard, writing

    usage = writing.shutil.disk_usage(tmp_path)._replace(free=1000)
    with monkeypatch.context() as patched:
        patched.setattr(writing.shutil, "disk_usage", lambda path: usage)
        with pytest.raises(OSError, match=r"the pack takes about \d+ bytes and 1000 are free"):
            write(rows_of(corpus), tmp_path / "out")
    assert not list((tmp_path / "out").glob("*.parquet"))
    fields = shard.fields_of

    def full(row: Row, sound: object) -> object:
        if row.name.startswith("of 2"):
            raise OSError(28, "No space left on device")
        return fields(row, sound)

    with monkeypatch.context() as patched:
        patched.setattr(shard, "fields_of", full)
        with pytest.raises(OSError, match="the disk is full; finished shards are kept"):
            write(rows_of(corpus), tmp_path / "out", Packing(shard_mb=1e-6))
    assert sorted(path.name[:10] for path in (tmp_path / "out").glob("*.parquet")) == [
        "data-00000",
        "data-00001",
    ]
    assert not list((tmp_path / "out").glob(".*.tmp"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_may_not_be_written_to_is_a_sentence(corpus, tmp_path):
    (tmp_path / "out").mkdir(mode=0o500)
    with pytest.raises(PermissionError):
        write(rows_of(corpus), tmp_path / "out")
