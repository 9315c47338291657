"""PaSST's HDF5 packs: clips within one large file."""

import os

import numpy as np
import pytest

from data.packs import NAMES, RATE, held, mp3, noise, pack, sounds, write_pack
from earmark import audio
from earmark.audio import AudioError
from earmark.config import ConfigError
from earmark.data.feeding.sounds import open_sounds, waveform
from earmark.data.packs.hdf5 import read_pack, read_row

h5py = pytest.importorskip("h5py", reason="packs need the extra [data]")

__all__ = ["held", "pack", "sounds"]


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
