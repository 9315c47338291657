"""Events of a stream: equal to those of the whole recording for random splits, and memory over hours.

    python benchmarks/events.py examples/reading.flac [--splits 200] [--hours 2] [--model builtin]

The recording is split at 0 to 40 random places, `--splits` times; then it is pushed over and over again.
"""

import argparse
import resource
import time

import numpy as np

from earmark.audio import load as load_audio
from earmark.inference.settings import EventSettings
from earmark.inference.streaming import TagStream, find_events
from earmark.models import load

SETTINGS = EventSettings(window=1.0, hop=0.25, threshold=0.3, median=0.75, min_gap=0.5, min_duration=0.25)


def resident_mb() -> float:
    """The largest resident memory so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def split_and_compare(model, samples: np.ndarray, splits: int) -> None:
    whole = find_events((samples, model.sample_rate), model=model, settings=SETTINGS)
    rng = np.random.default_rng(0)
    same = 0
    for _ in range(splits):
        stream, found = TagStream(model, SETTINGS, batch=16), []
        for block in np.split(samples, np.sort(rng.integers(0, len(samples) + 1, rng.integers(0, 41)))):
            found += stream.push(block)
        found += stream.flush()
        same += sorted(found, key=lambda e: (e.onset, e.offset)) == list(whole.events)
    print(f"{len(whole.events)} events; {same} of {splits} splits have exactly these")


def stream_for_hours(model, samples: np.ndarray, hours: float) -> None:
    stream, began, count, shown = TagStream(model, SETTINGS, batch=16), time.perf_counter(), 0, 0
    marks = [600.0, *(3600.0 * hour for hour in range(1, int(hours) + 1))]
    while shown < len(marks):
        count += len(stream.push(samples))
        if stream.seconds >= marks[shown]:
            took = time.perf_counter() - began
            print(f"{stream.seconds:7.0f} s heard, {count} events, {took:.0f} s, peak {resident_mb():.0f} MB")
            shown += 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("recording")
    parser.add_argument("--splits", type=int, default=200)
    parser.add_argument("--hours", type=float, default=2)
    parser.add_argument("--model", default="builtin")
    given = parser.parse_args()
    model = load(given.model)
    samples = load_audio(given.recording, model.sample_rate)
    split_and_compare(model, samples, given.splits)
    stream_for_hours(model, samples, given.hours)


if __name__ == "__main__":
    main()
