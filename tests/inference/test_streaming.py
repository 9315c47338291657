"""A stream and the whole file: the same events, each once, in time."""

import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.encoders import CRNN
from earmark.frontends import LogMel
from earmark.inference.settings import EventSettings
from earmark.inference.streaming import TagStream, find_events
from earmark.inference.tagging import tag
from earmark.labels import LabelSet
from earmark.models import Tagger, TaggerConfig
from earmark.models.heads import PoolingHead

from .sounds import RATE, make_model, sound, spread


@pytest.fixture(scope="module")
def windowed() -> Tagger:
    return spread(make_model(clip_seconds=0.5))


@pytest.fixture(scope="module")
def framed() -> Tagger:
    torch.manual_seed(0)
    frontend = LogMel(sample_rate=RATE, n_fft=512, win_length=400, hop_length=160, n_mels=32, fmax=8000.0)
    config = TaggerConfig(
        frontend=frontend,
        encoder=CRNN(n_bands=32, dim=16, blocks=4, pools=2),
        head=PoolingHead(pooling="linear"),
        labels=LabelSet(names=("Dog", "Rain", "Wind")),
        clip_seconds=1.0,
    )
    return spread(config.build().eval())


def pushed(stream: TagStream, samples: np.ndarray, cuts: list[int]) -> list:
    events = []
    for block in np.split(samples, sorted(cuts)):
        events += stream.push(block)
    return events + stream.flush()


SETTINGS = EventSettings(window=0.5, hop=0.1, off_threshold=0.4, median=0.3, min_duration=0.15, min_gap=0.25)
FRAMES = SETTINGS.replace(window=None, hop=None)
SOUND = sound(6.3)
CUTS = st.lists(st.integers(0, len(SOUND)), max_size=30)


def by_onset(events: list) -> list:
    return sorted(events, key=lambda event: (event.onset, event.offset))


@settings(max_examples=25, deadline=None)
@given(cuts=CUTS)
def test_any_cut_of_a_sound_has_the_events_of_the_whole(windowed, whole, cuts):
    assert by_onset(pushed(TagStream(windowed, SETTINGS, batch=4), SOUND, cuts)) == whole


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(cuts=CUTS)
def test_any_of_200_cuts_of_a_sound_has_the_events_of_the_whole(windowed, whole, cuts):
    assert by_onset(pushed(TagStream(windowed, SETTINGS, batch=4), SOUND, cuts)) == whole


@pytest.fixture(scope="module")
def whole(windowed) -> list:
    events = find_events((SOUND, RATE), model=windowed, settings=SETTINGS, batch=4).events
    assert len(events) > 5
    return list(events)


@settings(max_examples=15, deadline=None)
@given(cuts=CUTS)
def test_any_cut_has_the_events_of_the_whole_where_frames_are_scored(framed, cuts):
    events = find_events((SOUND, RATE), model=framed, settings=FRAMES, batch=2).events
    assert len(events) > 5
    assert by_onset(pushed(TagStream(framed, FRAMES, batch=2), SOUND, cuts)) == list(events)


@pytest.mark.parametrize("window", [0.3, 0.5, 1.3])
def test_batches_change_events_by_no_more_than_rounding(windowed, window):
    asked = SETTINGS.replace(window=window)
    one, many = (find_events((SOUND, RATE), model=windowed, settings=asked, batch=n).events for n in (1, 16))
    assert len(one) == len(many) > 2
    for alone, among in zip(one, many, strict=True):
        assert (alone.label, alone.onset, alone.offset) == (among.label, among.onset, among.offset)
        assert alone.peak == pytest.approx(among.peak, abs=2e-5)


def test_events_are_those_of_the_rows_that_tagging_gives(windowed):
    asked = EventSettings(window=0.5, hop=0.1)
    events = find_events((SOUND, RATE), model=windowed, settings=asked).events
    rows = tag((SOUND, RATE), model=windowed, window=0.5, hop=0.1, top=3).rows
    middles = [(row.start + row.end) / 2 for row in rows]
    for event in events:
        inside = [
            next(t.score for t in row.tags if t.label == event.label)
            for row, middle in zip(rows, middles, strict=True)
            if event.onset < middle < event.offset
        ]
        assert event.peak == pytest.approx(max(inside), abs=2e-5)
        assert min(inside) >= 0.25 - 2e-5
    for row, middle in zip(rows, middles, strict=True):
        for each in row.tags:
            if each.score > 0.5 + 2e-5 and row.end - row.start > 0.49:
                assert any(e.label == each.label and e.onset <= middle <= e.offset for e in events)


def test_an_event_runs_across_the_windows_of_the_model(framed):
    asked = EventSettings(threshold=0.0, off_threshold=0.0)
    events = find_events((SOUND, RATE), model=framed, settings=asked).events
    assert [(e.onset, e.offset) for e in events] == [(0.0, 6.3)] * 3


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("asked", [SETTINGS, FRAMES, EventSettings(window=0.7, hop=0.2, min_gap=0.5)])
def test_an_event_comes_within_the_latency_that_is_stated(windowed, framed, asked, batch):
    model = framed if asked.window is None else windowed
    stream = TagStream(model, asked.replace(off_threshold=asked.threshold), batch)
    late = []
    for start in range(0, len(SOUND), 100):
        late += [stream.seconds - event.offset for event in stream.push(SOUND[start : start + 100])]
    assert len(late) > 3
    assert max(late) <= stream.latency_seconds + 100 / RATE
    assert max(late) > stream.latency_seconds / 3  # it says no more than is needed


def test_memory_does_not_grow_with_the_sound(windowed):
    stream = TagStream(windowed, EventSettings(window=0.5, median=0.5, min_gap=1.0))
    block = sound(2.0)

    def held(times: int) -> int:
        for _ in range(times):
            stream.push(block)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        early = held(2)
        assert held(8) < early + 200_000
    finally:
        tracemalloc.stop()


def test_a_buffer_may_be_used_again(windowed, whole):
    stream, buffer, events = TagStream(windowed, SETTINGS, batch=4), np.zeros(700, np.float32), []
    for start in range(0, len(SOUND), 700):
        part = SOUND[start : start + 700]
        buffer[: len(part)] = part
        events += stream.push(buffer[: len(part)])
    assert by_onset(events + stream.flush()) == whole


def test_a_short_end_of_a_sound_is_not_scored_by_itself(windowed):
    asked = EventSettings(window=0.5, threshold=0.0, off_threshold=0.0)
    long, short = (find_events((SOUND[:n], RATE), model=windowed, settings=asked) for n in (32000, 32010))
    assert [e.peak for e in long.events] == [e.peak for e in short.events]
    assert short.events[0].offset == 32010 / RATE


@pytest.mark.parametrize("count", [0, 1, 100])
def test_a_stream_of_little_sound_ends_well(windowed, framed, count):
    asked = EventSettings(threshold=0.0, off_threshold=0.0, median=1.0)
    for model in (windowed, framed):
        events = pushed(TagStream(model, asked), SOUND[:count], [])
        assert [(e.onset, e.offset) for e in events] == [(0.0, count / RATE)] * (3 if count else 0)


def test_a_stream_that_has_ended_takes_no_more(windowed):
    stream = TagStream(windowed)
    stream.flush()
    with pytest.raises(ValueError, match="begin another"):
        stream.push(SOUND)


def test_samples_that_are_not_finite_are_refused(windowed):
    with pytest.raises(ValueError, match="not all finite"):
        TagStream(windowed).push(np.full(10, np.nan, np.float32))


def test_a_bad_file_among_many_is_an_error_and_the_rest_are_done(windowed, sounds, tmp_path):
    bad = tmp_path / "bad.wav"
    bad.write_bytes(b"RIFF")
    paths = sounds(0.5, 3.0)
    found = list(find_events([paths[0], bad, paths[1]], model=windowed, settings=SETTINGS, workers=1))
    assert [result.error is None for result in found] == [True, False, True]
    assert [round(result.seconds, 3) for result in found] == [0.5, 0.0, 3.0]
    assert "error: " in repr(found[1])


def test_what_a_model_cannot_take_costs_that_sound_only():
    model = make_model()
    with torch.no_grad():
        model.head.linear.bias[0] = float("nan")
    [result] = find_events([(SOUND, RATE)], model=model, workers=0)
    assert "not finite" in str(result.error)
