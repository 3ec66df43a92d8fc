"""What dealing work out over Ray costs the driver, beside workers that only wait: its seconds a piece, and its memory.

    python benchmarks/dealing.py --workers 16 --prompts 946 --seeds 5 --settings 5

The model is a plugin of the tests that takes 0.02 s a video; the folder of the videos is a temporary one.
"""

from __future__ import annotations

import concurrent.futures
import json
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from pathlib import Path

import click

TESTS = Path(__file__).parents[1] / "tests"
sys.path.insert(0, str(TESTS))
os.environ["PYTHONPATH"] = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
PAGE = resource.getpagesize()


def resident() -> float:
    """Memory of this process, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE / 2**20


@click.command()
@click.option("--workers", default="4", show_default=True, help="Counts of workers, separated by commas.")
@click.option("--prompts", default=946, show_default=True)
@click.option("--seeds", default=5, show_default=True)
@click.option("--settings", default=1, show_default=True)
@click.option("--seconds", default=0.02, show_default=True, help="Of a video.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False), help="Write the figures as JSON to FILE.")
def main(workers: str, prompts: int, seeds: int, settings: int, seconds: float, json_file: str | None) -> None:
    """Measure the driver's time and memory, for each count of workers in a process of its own."""
    found = []
    for count in map(int, workers.split(",")):
        with concurrent.futures.ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            found.append(pool.submit(deal, count, prompts, seeds, settings, seconds).result())
        click.echo(
            "{workers} workers: {videos} videos in {seconds:.1f} s, {worker_milliseconds:.1f} ms a video and worker; "
            "the driver's processor time {driver_milliseconds:.2f} ms a video; "
            "memory {memory_begin:.0f} MiB when all workers were there, {memory_end:.0f} MiB at the end".format(
                **found[-1]
            )
        )
    if json_file:
        Path(json_file).write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def deal(workers: int, prompts: int, seeds: int, settings: int, seconds: float) -> dict[str, float]:
    """What it cost to deal so many videos of so many settings to so many workers."""
    from waiting_model import Waiting

    from cachekit.cli.choices import ChosenModel, uncached_setting
    from cachekit.generation.generate import make_requests, prepare_folder
    from cachekit.scaling.cluster import Cluster, import_ray
    from cachekit.scaling.dealing import Fleet, Need
    from cachekit.scaling.videos import VideoJob, Way, deal_folder

    ray = import_ray()
    ray.init(
        "local",
        num_cpus=workers,
        object_store_memory=80 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    model = Waiting(seconds=seconds)
    requests = make_requests([f"scene {number}" for number in range(prompts)], 0, seeds)
    done, begun, memory = 0, 0.0, []
    for number in range(settings):
        setting = uncached_setting(
            ChosenModel("waiting", model), steps=1, guidance_scale=1.0 + number, device="cpu", dtype=None,
            video_format="mkv",
        )  # fmt: skip
        with (
            tempfile.TemporaryDirectory() as folder,
            prepare_folder(Path(folder), setting, overwrite=False) as manifest,
        ):
            fleet = Fleet(Cluster(ray), VideoJob(model, "cpu", "float32"), Need(0.0, most=workers))
            for outcome, at_work in deal_folder(fleet, requests, Way(setting, None), manifest):
                assert outcome.entry is not None, outcome.failure
                if at_work is not None and at_work.workers == workers and not begun:
                    begun, done, spent = time.perf_counter(), 0, time.process_time()
                    memory.append(resident())
                done += 1
                if done % 1000 == 0:
                    memory.append(resident())
    wall, processor = time.perf_counter() - begun, time.process_time() - spent
    ray.shutdown()
    return {
        "workers": workers,
        "videos": done,
        "seconds": wall,
        "worker_milliseconds": 1e3 * wall * workers / done,
        "driver_milliseconds": 1e3 * processor / done,
        "memory_begin": memory[0],
        "memory_end": memory[-1],
    }


if __name__ == "__main__":
    main()
