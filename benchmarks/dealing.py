"""What dealing work out over Ray costs the driver, beside workers that only wait: its seconds a piece, and its memory.

    python benchmarks/dealing.py --workers 16 --prompts 946 --seeds 5 --settings 5

The model is a plugin of the tests that takes 0.02 s a video; the folder of the videos is a temporary one.
"""

from __future__ import annotations

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
@click.option("--workers", default=4, show_default=True)
@click.option("--prompts", default=946, show_default=True)
@click.option("--seeds", default=5, show_default=True)
@click.option("--settings", default=1, show_default=True)
@click.option("--seconds", default=0.02, show_default=True, help="Of a video.")
def main(workers: int, prompts: int, seeds: int, settings: int, seconds: float) -> None:
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
    click.echo(
        f"{workers} workers: {done} videos in {wall:.1f} s, {1e3 * wall * workers / done:.1f} ms a video and worker; "
        f"the driver's processor time {1e3 * processor / done:.2f} ms a video; "
        f"memory {memory[0]:.0f} MiB when all workers were there, {memory[-1]:.0f} MiB at the end"
    )
    ray.shutdown()


if __name__ == "__main__":
    main()
