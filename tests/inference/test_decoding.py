"""Items to blocks: whole files, stretches of them and what addresses name, in decoder processes or here."""

import numpy as np
import pytest
import soundfile

from earmark.audio import AudioError, load
from earmark.audio.pool import Pool
from earmark.inference.decoding import decode
from earmark.inference.settings import Run
from earmark.inference.sources import Item, Part

RATE = 8000


@pytest.fixture(params=[0, 2], ids=["here", "in processes"])
def pool(request):
    if not request.param:
        yield None
        return
    with Pool(request.param, 30.0) as pool:
        yield pool


def heard(item: Item, pool: Pool | None) -> np.ndarray:
    [(_, blocks)] = decode([item], RATE, Run(), pool)
    return np.concatenate([np.zeros(0, np.float32), *blocks])


def test_a_stretch_is_heard_as_the_whole_file_from_there_to_there(tmp_path, pool):
    path = tmp_path / "noise.flac"
    soundfile.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, 4 * RATE), RATE)
    whole = load(path, RATE)
    for start, end in ((0.0, None), (1.0, None), (0.5, 1.25), (3.5, 9.0)):
        clip = Part(str(path), start=start, end=end)
        part = heard(Item("part", clip), pool)
        stop = None if end is None else round(end * RATE)
        np.testing.assert_array_equal(part, whole[round(start * RATE) : stop])


def test_what_cannot_be_heard_is_told_under_the_name_of_its_item(tmp_path, pool):
    path = tmp_path / "short.wav"
    soundfile.write(path, np.zeros(RATE), RATE)
    wrong = {
        "late": (Part(str(path), start=2.0), "begins where the sound has ended"),
        "gone": (Part(str(tmp_path / "no.wav"), start=1.0), "no such file"),
        "pack": (Part(str(tmp_path / "no.hdf"), row=1), "cannot be"),
        "nothing": (None, "nothing to read"),
    }
    for name, (source, words) in wrong.items():
        with pytest.raises((AudioError, ValueError), match=f"{name}: .*{words}"):
            heard(Item(name, source), pool)


def test_an_address_is_heard_in_decoder_processes_too(tmp_path, pool):
    path = tmp_path / "noise.wav"
    soundfile.write(path, np.random.default_rng(1).uniform(-0.5, 0.5, RATE), RATE)
    for source in (f"file://{path}", Part(f"file://{path}", start=0.5)):
        found = heard(Item("elsewhere", source), pool)
        np.testing.assert_array_equal(found, load(path, RATE)[-len(found) :])
        assert len(found) in (RATE, RATE // 2)
