"""Laws of events, on random tracks; and agreement with the same said slowly."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.config import ConfigError
from earmark.inference.events import WHOLE, Rules, Span, Tracker, find_spans, rules_for
from earmark.inference.settings import EventSettings
from earmark.inference.thresholds import Thresholds

CLASSES = 3


@st.composite
def tracks(draw: st.DrawFn):
    """Stops, scores and rules, with cells of uneven length and many ties."""
    cells = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stops = np.cumsum(rng.integers(1, 4, cells))
    walk = np.cumsum(rng.normal(0, 0.3, (cells, CLASSES)), axis=0)
    scores = np.round(1 / (1 + np.exp(-walk)), draw(st.sampled_from([1, 6])))
    on = rng.choice([0.4, 0.5, 0.7, 0.9], CLASSES)
    off = on * rng.choice([0.3, 0.8, 1.0], CLASSES)
    whole = [np.rint(each * WHOLE).astype(np.int64) for each in (on, off)]
    reach, duration, gap = (draw(st.integers(0, most)) for most in (3, 12, 12))
    return stops, scores, Rules(*whole, reach, duration, gap)


def slowly(stops, scores, rules) -> list[Span]:
    """Events of a whole track, cell by cell and label by label."""
    found = []
    whole = np.rint(scores * WHOLE).astype(np.int64)
    edges = [0, *stops.tolist()]
    for index in range(scores.shape[1]):
        padded = np.pad(whole[:, index], rules.reach, mode="edge")
        smooth = [sorted(padded[i : i + 2 * rules.reach + 1])[rules.reach] for i in range(len(stops))]
        runs, begin = [], None
        for cell, score in enumerate([*smooth, -1]):
            if score >= rules.off[index] and begin is None:
                begin = cell
            if score < rules.off[index] and begin is not None:
                if max(smooth[begin:cell]) >= rules.on[index]:
                    runs.append((begin, cell))
                begin = None
        joined: list[tuple[int, int]] = []
        for begin, end in runs:
            if joined and edges[begin] - edges[joined[-1][1]] < rules.min_gap:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((begin, end))
        for begin, end in joined:
            if edges[end] - edges[begin] >= rules.min_duration:
                part = smooth[begin:end]
                mean = round(int(sum(part)) / len(part) / WHOLE, 6)
                found.append(Span(index, edges[begin], edges[end], max(part) / WHOLE, mean))
    return sorted(found, key=lambda span: (span.onset, span.offset, span.label))


@settings(max_examples=300, deadline=None)
@given(tracks())
def test_events_are_those_that_the_rules_say_one_by_one(track):
    assert find_spans(*track) == slowly(*track)


@settings(max_examples=200, deadline=None)
@given(tracks(), st.lists(st.integers(0, 60), max_size=12))
def test_events_do_not_depend_on_how_the_track_is_cut(track, cuts):
    stops, scores, rules = track
    tracker = Tracker(rules)
    places = [0, *sorted(min(cut, len(stops)) for cut in cuts), len(stops)]
    found = []
    for first, last in pairwise(places):
        found += tracker.push(stops[first:last], scores[first:last])
    found += tracker.flush(int(stops[-1]))
    assert sorted(found) == sorted(find_spans(*track))


@settings(max_examples=200, deadline=None)
@given(tracks())
def test_events_of_a_label_keep_their_distance_and_last(track):
    stops, _, rules = track
    spans = find_spans(*track)
    for index in range(CLASSES):
        mine = [span for span in spans if span.label == index]
        for span in mine:
            assert 0 <= span.onset < span.offset <= stops[-1]
            assert span.offset - span.onset >= rules.min_duration
            assert rules.on[index] / WHOLE <= span.peak <= 1
            assert span.mean <= span.peak
        for before, after in pairwise(mine):
            assert after.onset - before.offset >= max(1, rules.min_gap)


@settings(max_examples=200, deadline=None)
@given(tracks())
def test_a_track_backwards_has_the_same_events_backwards(track):
    stops, scores, rules = track
    end = int(stops[-1])
    lengths = np.diff(stops, prepend=0)
    turned = find_spans(np.cumsum(lengths[::-1]), scores[::-1], rules)
    expected = [span._replace(onset=end - span.offset, offset=end - span.onset) for span in turned]
    assert sorted(expected) == sorted(find_spans(*track))


@settings(max_examples=100, deadline=None)
@given(tracks(), st.integers(0, CLASSES - 1))
def test_a_label_does_not_change_the_events_of_another(track, index):
    stops, scores, rules = track
    alone = Rules(rules.on[[index]], rules.off[[index]], rules.reach, rules.min_duration, rules.min_gap)
    expected = [span._replace(label=0) for span in find_spans(*track) if span.label == index]
    assert find_spans(stops, scores[:, [index]], alone) == expected


def test_a_long_track_is_found_as_in_pieces_and_leaves_little_behind():
    rng = np.random.default_rng(0)
    rules = Rules(np.array([600_000] * 4), np.array([400_000] * 4), reach=5, min_gap=300)
    tracker = Tracker(rules)
    scores = rng.random((5000, 4))
    stops = np.arange(1, 5001) * 100
    found = tracker.push(stops, scores)
    assert len(tracker._scores) <= 2 * rules.reach + 1
    assert len(tracker._held) + len(tracker._open) <= 8
    assert sorted(found + tracker.flush(500_000)) == slowly_sorted(stops, scores, rules)


def slowly_sorted(stops, scores, rules):
    return sorted(slowly(stops, scores, rules))


def test_an_event_is_given_as_soon_as_no_cell_can_change_it():
    tracker = Tracker(Rules(np.array([500_000]), np.array([500_000]), min_gap=20))
    said = [
        tracker.push(np.array([10 * (i + 1)]), np.array([[s]])) for i, s in enumerate([0.9, 0.0, 0.0, 0.0])
    ]
    assert [len(spans) for spans in said] == [0, 0, 1, 0]
    assert tracker.flush(40) == []


def test_a_track_without_cells_has_no_events():
    rules = Rules(np.array([0]), np.array([0]), reach=2)
    assert find_spans(np.zeros(0, np.int64), np.zeros((0, 1)), rules) == []


def test_thresholds_are_those_of_each_label_and_none_is_never():
    chosen = Thresholds(labels=("Dog", "Rain"), values=(0.4, None), default=0.6)
    rules = rules_for(EventSettings(chosen=chosen, off_threshold=0.5), ("Dog", "Rain", "Wind"), 1.0, 1)
    assert rules.on.tolist() == [400_000, 2_000_000, 600_000]
    assert rules.off.tolist() == [400_000, 500_000, 500_000]
    loud = np.ones((3, 3))
    assert {span.label for span in find_spans(np.array([1, 2, 3]), loud, rules)} == {0, 2}


def test_a_median_reaches_half_of_its_length_to_both_sides():
    reaches = [rules_for(EventSettings(median=m), ("A",), 4000.0, 16000).reach for m in (0, 0.4, 0.5, 1, 1.2)]
    assert reaches == [0, 0, 1, 2, 2]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"window": 1.0, "hop": 2.0}, "at most the window"),
        ({"hop": 1.0}, "no window"),
        ({"threshold": 0.3, "off_threshold": 0.5}, "at most the threshold"),
        ({"threshold": 1.5}, "threshold"),
        ({"median": -1.0}, "median"),
        ({"min_gap": float("nan")}, "min_gap"),
    ],
)
def test_impossible_settings_are_a_sentence(fields, words):
    with pytest.raises(ConfigError, match=words):
        EventSettings(**fields)
