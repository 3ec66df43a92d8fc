"""What sharing work out costs and gives: `python benchmarks/sharing.py` (the embedded model, processes of one thread).

- `--what bytes`: the same videos by one process, by Ray's workers and by two shares; whether the files are equal.
- `--what cost`: seconds a video of one process alone, of two processes at once that know nothing of each other, and of
  two workers under Ray, in turn; each counted from when its models are loaded. The second is what the machine itself
  makes of two at once, the first's half what would be ideal.
- `--what kills`: kill -9 of workers and of the driver at random moments, and the same command again where it was the
  driver; what was lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import multiprocessing
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click

os.environ["OMP_NUM_THREADS"] = "1"
CACHEKIT = (sys.executable, "-c", "from cachekit.cli import main; main()")


@click.command()
@click.option("--what", default="bytes,cost,kills", show_default=True)
@click.option("--videos", default=48, show_default=True, help="Of each run of `bytes`.")
@click.option("--steps", default=4, show_default=True, help="Of a video of `bytes` and `kills`.")
@click.option("--rounds", default=5, show_default=True, help="Of `cost`.")
@click.option("--round-videos", default=12, show_default=True, help="Of each way in a round of `cost`.")
@click.option("--kills", default="10,5", show_default=True, help="Of workers, and of the driver.")
@click.option("--seed", default=0, show_default=True, help="Of the moments of the kills.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False), help="Write the figures as JSON to FILE.")
def main(
    what: str, videos: int, steps: int, rounds: int, round_videos: int, kills: str, seed: int, json_file: str | None
) -> None:
    """Measure what sharing work out costs, and what it changes: nothing."""
    found: dict[str, Any] = {}
    if "bytes" in what:
        found["bytes"] = same_bytes(videos, steps)
    if "cost" in what:
        found["cost"] = cost(rounds, round_videos)
    if "kills" in what:
        workers, drivers = map(int, kills.split(","))
        found["kills"] = survive(videos, steps, workers, drivers, random.Random(seed))
    for name, figures in found.items():
        click.echo(f"{name}: {json.dumps(figures)}")
    if json_file:
        Path(json_file).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def words(out: Path, videos: int, steps: int, *how: object) -> list[str]:
    """A command that makes so many videos."""
    given = ("run", "--strategy", "uniform", "--set", "computed=2", "--steps", steps, "--format", "mkv")
    each = ("--prompt", "a red circle moves left over the sea", "--videos-per-prompt", videos, "--out", out)
    return [*CACHEKIT, *map(str, (*given, *each, *how))]


def run(out: Path, videos: int, steps: int, *how: object) -> None:
    subprocess.run(words(out, videos, steps, *how), check=True, capture_output=True)


def digests(folder: Path) -> dict[str, str]:
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.glob("*.mkv")}


def same_bytes(videos: int, steps: int) -> dict[str, Any]:
    """For each way of sharing, whether it made the files of one process."""
    with tempfile.TemporaryDirectory() as folder, three_processors() as address:
        root = Path(folder)
        run(root / "whole", videos, steps)
        whole = digests(root / "whole")
        assert len(whole) == videos
        ways: dict[str, Sequence[Sequence[object]]] = {
            **{f"Ray, workers: {n}": [("--ray", address, "--workers", n, "--gpus-per-worker", 0)] for n in (1, 2, 3)},
            "shares: 2": [("--shard", "1/2"), ("--shard", "2/2")],
        }
        equal = {}
        for number, (name, commands) in enumerate(ways.items()):
            for how in commands:
                run(root / str(number), videos, steps, *how)
            equal[name] = digests(root / str(number)) == whole
        return {"videos": videos, "equal": equal}


@contextlib.contextmanager
def three_processors() -> Iterator[str]:
    """The address of a Ray of this machine that takes it to have three processors."""
    from cachekit.scaling.cluster import import_ray

    ray = import_ray()
    found = ray.init("local", num_cpus=3, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield found.address_info["address"]
    ray.shutdown()


def cost(rounds: int, videos: int) -> dict[str, Any]:
    """Milliseconds a video, medians over paired rounds: alone, two at once, two under Ray."""
    from cachekit.scaling.cluster import import_ray

    ray = import_ray()
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    spawn = multiprocessing.get_context("spawn")
    timed: dict[str, list[float]] = {"alone": [], "two at once": [], "two under Ray": []}
    for _ in range(rounds):
        with spawn.Pool(1, start_one) as one:
            timed["alone"] += one.map(make_alone, [videos])
        with spawn.Pool(2, start_one) as two:
            both = two.map(make_alone, [videos, videos], chunksize=1)
            timed["two at once"].append(statistics.fmean(both) / 2)
        timed["two under Ray"].append(make_dealt(ray, 2 * videos))
    ray.shutdown()
    medians = {name: 1e3 * statistics.median(seconds) for name, seconds in timed.items()}
    pairs = zip(timed["two under Ray"], timed["alone"], timed["two at once"], strict=True)
    over_half, over_two = zip(*((dealt / (alone / 2), dealt / two) for dealt, alone, two in pairs), strict=True)
    return {
        "rounds": rounds,
        "milliseconds": medians,
        "over_half_of_one": statistics.median(over_half),
        "over_two_at_once": statistics.median(over_two),
    }


def start_one() -> None:
    import torch

    torch.set_num_threads(1)


def setting() -> Any:
    from cachekit.cli.choices import ChosenModel, uncached_setting
    from cachekit.opensora.mini.model import OpenSoraMini

    chosen = ChosenModel("opensora-mini", OpenSoraMini())
    return uncached_setting(chosen, steps=30, guidance_scale=4.0, device="cpu", dtype=None, video_format="mkv")


def requests(videos: int) -> Any:
    from cachekit.generation.generate import make_requests

    return make_requests(["a red circle moves left over the sea"], 0, videos)


def make_alone(videos: int) -> float:
    """Seconds a video of this process, from when its model has made a first one."""
    from cachekit.generation.generate import generate_folder, prepare_folder
    from cachekit.opensora.mini.model import OpenSoraMini

    pipeline = OpenSoraMini().load(device="cpu", dtype=None)
    with tempfile.TemporaryDirectory() as folder, prepare_folder(Path(folder), setting(), overwrite=False) as manifest:
        made = generate_folder(pipeline, requests(videos + 1), None, setting(), manifest)
        next(made)
        begun = time.perf_counter()
        assert all(outcome.failure is None for outcome in made)
        return (time.perf_counter() - begun) / videos


def make_dealt(ray: Any, videos: int) -> float:
    """Seconds a video of two workers together, from when each has made one."""
    from cachekit.generation.generate import prepare_folder
    from cachekit.opensora.mini.model import OpenSoraMini
    from cachekit.scaling.cluster import Cluster
    from cachekit.scaling.dealing import Fleet, Need
    from cachekit.scaling.videos import VideoJob, Way, deal_folder

    fleet = Fleet(Cluster(ray), VideoJob(OpenSoraMini(), "cpu", "float32"), Need(0.0, most=2))
    with tempfile.TemporaryDirectory() as folder, prepare_folder(Path(folder), setting(), overwrite=False) as manifest:
        begun, counted, processes = 0.0, 0, set()
        for outcome, done in deal_folder(fleet, requests(videos + 8), Way(setting(), None), manifest):
            assert outcome.failure is None, outcome.failure
            if begun:
                counted += 1
            elif done is not None:
                processes.add(done.worker)
                begun = time.perf_counter() if len(processes) == 2 else 0.0
        return (time.perf_counter() - begun) / counted


def survive(videos: int, steps: int, workers: int, drivers: int, moments: random.Random) -> dict[str, Any]:
    """Kill so many workers and drivers, each in a run of its own; how many runs ended in what they should."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        begun = time.monotonic()
        how = ("--ray", "--workers", 2, "--gpus-per-worker", 0)
        run(root / "whole", videos, steps, *how)
        seconds = time.monotonic() - begun
        whole = digests(root / "whole")
        right = {"workers": 0, "drivers": 0}
        lost, wrong = 0, []
        for number in range(workers + drivers):
            kind = "workers" if number < workers else "drivers"
            out = root / str(number)
            said = root / f"{number}.txt"
            with said.open("wb") as told:
                process = subprocess.Popen(words(out, videos, steps, *how), stdout=told, stderr=told)
            time.sleep(moments.uniform(0.2, 0.9) * seconds)
            finished = {}
            if kind == "drivers":
                process.kill()
                process.wait()
                finished = digests(out) if out.exists() else {}
                time.sleep(5)  # Ray notices that its driver is gone
                run(out, videos, steps, *how)
            else:
                kill_one_worker(process.pid, moments)
                process.wait()
            there = digests(out)
            lost += sum(there.get(name) != digest for name, digest in finished.items())
            as_one = there == whole and process.returncode in (0, -signal.SIGKILL)
            right[kind] += as_one
            if not as_one:
                wrong.append(f"{kind}: {process.returncode}, {len(there)} files; {said.read_text()[-2000:]}")
                click.echo(wrong[-1], err=True)
        return {
            "worker_kills": workers,
            "driver_kills": drivers,
            "ended_as_one_process": right,
            "lost": lost,
            "wrong": wrong,
        }


def kill_one_worker(driver: int, moments: random.Random) -> None:
    """Kill -9 one of the driver's workers, once there are any."""
    import psutil

    while psutil.pid_exists(driver) and psutil.Process(driver).status() != psutil.STATUS_ZOMBIE:
        with contextlib.suppress(psutil.NoSuchProcess):  # one that ended while they were listed
            found = [
                process
                for process in psutil.Process(driver).children(recursive=True)
                if process.name().startswith("ray::") and "Worker" in process.name()
            ]
            if found:
                moments.choice(found).kill()
                return
        time.sleep(0.05)


if __name__ == "__main__":
    main()
