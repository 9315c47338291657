"""Many short clips by both engines: equal rows, whoever is killed; rows a second; and what is not the model.

    python benchmarks/scale.py --data FOLDER [--clips 20000] [--kills 10] [--seed 0] [--only NAME ...]
        [--work FOLDER]

Clips of one second at 16 kHz are cut from the recordings in FOLDER and mixed two by two.  The built-in model
embeds them by `earmark embed`: here, by `--engine ray`, and by `--engine ray` while processes die by SIGKILL
at random moments: workers; one of two nodes, which another one replaces; the driver, which goes on with
`--resume`.  Each time the rows are compared with those of the run on one machine.  (Decoders are left alone:
by design, what a decoder dies of is told as an error of the file that it had.)  With --work, what is there of
clips and of the run here is taken, and everything stays.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil
import soundfile

from earmark import audio
from earmark.inference.arrays import read_parquet
from earmark.inference.formats import of_embeddings, write_embeddings
from earmark.inference.settings import EmbedSettings, Run
from earmark.inference.sources import Search
from earmark.scaling.engine import QUIET, hear_blocks
from earmark.scaling.plan import make_plan
from earmark.scaling.work import Work

RATE = 16000
SOURCES = 200
STEP = 0.05


def make_clips(data: Path, folder: Path, clips: int, seed: int) -> None:
    """Cut and mix; 1000 clips in each folder."""
    rng = np.random.default_rng(seed)
    items = [item for item in Search([str(data)]) if isinstance(item.source, str)]
    chosen = rng.choice(len(items), min(SOURCES, len(items)), replace=False)
    sounds = [audio.load(str(items[index].source), RATE)[: 10 * RATE] for index in sorted(chosen)]
    sounds = [sound for sound in sounds if len(sound) >= RATE]
    for index in range(clips):
        path = folder / f"{index // 1000:03d}" / f"{index:06d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        pair = [sounds[place] for place in rng.integers(len(sounds), size=2)]
        starts = [rng.integers(len(sound) - RATE + 1) for sound in pair]
        cuts = [sound[start : start + RATE] for sound, start in zip(pair, starts, strict=True)]
        soundfile.write(path, np.clip(cuts[0] + rng.uniform(0, 1) * cuts[1], -1, 1), RATE)


def embed(clips: Path, out: Path, *more: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "earmark", "embed", str(clips), "--out", str(out), *more]
    return subprocess.Popen(command)


def finished(process: subprocess.Popen[bytes]) -> None:
    if process.wait():
        raise SystemExit(f"earmark embed ended with status {process.returncode}")


def told(one: Path, other: Path) -> str:
    """How the rows of two outputs compare."""
    a, b = list(read_parquet(one)), list(read_parquet(other))
    if [row.path for row in a] != [row.path for row in b]:
        raise SystemExit(f"{other}: other rows than {one}: {len(b)} of {len(a)}")
    pairs = list(zip(a, b, strict=True))
    if not all(np.array_equal(x.starts, y.starts) and np.array_equal(x.ends, y.ends) for x, y in pairs):
        raise SystemExit(f"{other}: other times than {one}")
    apart = np.array([np.abs(x.embeddings - y.embeddings).max() for x, y in pairs])
    return f"{len(b)} rows in order, {np.sum(apart > 0)} with other numbers (at most {apart.max():.1e} apart)"


def workers_of(process: psutil.Process) -> list[psutil.Process]:
    """Ray's actors below a process."""
    found = []
    for child in process.children(recursive=True):
        try:
            if " ".join(child.cmdline()).startswith("ray::MapWorker"):
                found.append(child)
        except psutil.Error:
            continue
    return found


def kill_workers(driver: subprocess.Popen[bytes], chance: random.Random, kills: int, gap: float) -> int:
    """SIGKILL one of the workers now and then, as long as there are any."""
    killed = 0
    while driver.poll() is None and killed < kills:
        workers = workers_of(psutil.Process(driver.pid))
        if not workers:
            time.sleep(STEP)
            continue
        time.sleep(chance.uniform(0, 2 * gap))
        try:
            chance.choice(workers).kill()
            killed += 1
        except psutil.Error:
            pass
    return killed


def by_workers(clips: Path, root: Path, chance: random.Random, kills: int, seconds: float) -> int:
    driver = embed(clips, root / "workers", "--engine", "ray")
    killed = kill_workers(driver, chance, kills, seconds / kills / 2)
    finished(driver)
    return killed


def by_node(clips: Path, root: Path, chance: random.Random, kills: int, seconds: float) -> int:
    """Two nodes with a core each; the second dies again and again, and a new one comes in its place."""
    os.environ.update(QUIET)
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    killed = 0
    try:
        node = cluster.add_node(num_cpus=1)
        driver = embed(clips, root / "node", "--engine", "ray", "--address", cluster.address)
        while not list((root / "node").glob("part-*")) and driver.poll() is None:
            time.sleep(STEP)
        while killed < kills and driver.poll() is None:
            time.sleep(chance.uniform(0, seconds / kills))
            if driver.poll() is None:
                cluster.remove_node(node, allow_graceful=False)  # SIGKILL to all its processes
                killed += 1
                node = cluster.add_node(num_cpus=1)
        finished(driver)
    finally:
        cluster.shutdown()
    return killed


def by_driver(clips: Path, root: Path, chance: random.Random, kills: int, seconds: float) -> int:
    killed = 0
    out = root / "driver"
    while True:
        driver = embed(clips, out, "--engine", "ray", "--resume")
        family = psutil.Process(driver.pid)
        there = len(list(out.glob("part-*")))
        while killed < kills and driver.poll() is None and len(list(out.glob("part-*"))) == there:
            time.sleep(STEP)
        if killed < kills and driver.poll() is None:
            time.sleep(chance.uniform(0, seconds / kills / 2))
            below = family.children(recursive=True)
            driver.kill()
            killed += driver.wait() == -signal.SIGKILL
            _, left = psutil.wait_procs(below, timeout=20)
            for process in left:
                print(f"outlived its driver by 20 s: {process}", flush=True)
                process.kill()
            continue
        finished(driver)
        return killed


def share(clips: Path, root: Path) -> str:
    """The part of the actors' time, from first block to last, that is not the model's."""
    out, times = root / "share", root / "times"
    times.mkdir()
    work = Work(str(out), Run(), lambda threads: timed(threads, times), of_embeddings, write_embeddings)
    plan = make_plan(str(out), Search([str(clips)]), {}, work.run.batch)
    for _ in hear_blocks(work, plan.blocks, None):
        pass
    moments = [np.loadtxt(path, ndmin=2) for path in times.iterdir()]
    whole = sum(one[-1, 0] - one[0, 0] for one in moments)
    model = sum(one[-1, 1] - one[0, 1] for one in moments)
    return f"{len(moments)} actors, {whole:.1f} s, {100 * (1 - model / whole):.1f} % of it not in the model"


def timed(threads: int, times: Path) -> Callable[..., Iterator[object]]:
    """The built-in model, which notes at the borders of blocks how long it has computed so far."""
    import torch

    from earmark.inference.embedding import embed_items, ready_to_embed

    torch.set_num_threads(threads)
    model = ready_to_embed("builtin", "cpu")
    computed, path = [0.0], times / str(os.getpid())
    summarize = model.summarize

    def measured(waveform: torch.Tensor) -> torch.Tensor:
        started = time.perf_counter()
        try:
            return summarize(waveform)
        finally:
            computed[0] += time.perf_counter() - started

    model.summarize = measured

    def note() -> None:
        with path.open("a") as file:
            file.write(f"{time.perf_counter()} {computed[0]}\n")

    def hear(items: Iterator[object], pool: object) -> Iterator[object]:
        note()
        yield from embed_items(items, model, EmbedSettings(), Run(), pool)
        note()

    return hear


def untouched(clips: Path, root: Path, chance: random.Random, kills: int, seconds: float) -> int:
    finished(embed(clips, root / "ray", "--engine", "ray"))
    return 0


def here(clips: Path, root: Path) -> float:
    """The run on one machine, and how many seconds it takes."""
    if (root / "seconds").exists():
        return float((root / "seconds").read_text())
    started = time.perf_counter()
    finished(embed(clips, root / "here.parquet"))
    seconds = time.perf_counter() - started
    (root / "seconds").write_text(str(seconds))
    return seconds


RUNS = {"ray": untouched, "workers": by_workers, "node": by_node, "driver": by_driver}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="*", choices=["share", *RUNS], default=["share", *RUNS])
    parser.add_argument("--work", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        root, chance = given.work or Path(temporary), random.Random(given.seed)
        clips = root / "clips"
        if not clips.exists():
            make_clips(given.data, clips, given.clips, given.seed)
        seconds = here(clips, root)
        print(f"here     {seconds:.1f} s, {given.clips / seconds:.1f} rows a second", flush=True)
        for name in given.only:
            if name == "share":
                print(f"share    {share(clips, root)}", flush=True)
                continue
            started = time.perf_counter()
            killed = RUNS[name](clips, root, chance, given.kills, seconds)
            took = time.perf_counter() - started
            equal = told(root / "here.parquet", root / name)
            speed = f"{took:.1f} s, {given.clips / took:.1f} rows a second"
            print(f"{name:8} {speed}, {killed} kills; {equal}", flush=True)


if __name__ == "__main__":
    main()
