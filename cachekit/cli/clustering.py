"""`--ray`: a command's work over the workers of a Ray cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import attrs
import click

from cachekit.cli.options import FiniteWithin, Whole, grouped
from cachekit.errors import CachekitError

if TYPE_CHECKING:
    from cachekit.scaling.cluster import Cluster
    from cachekit.scaling.dealing import Done, Fleet
    from cachekit.scaling.worker import Job

HERE = "here"
MOST_WORKERS = 100_000
MOST_GPUS = 64
"""Of a machine."""
SMALLEST_SHARE = 0.001
"""Of a GPU; Ray counts in tenths of this."""


class Gpus(FiniteWithin):
    """GPUs of a worker as Ray deals them out: none, a share of one, or a whole number."""

    def __init__(self) -> None:
        super().__init__(min=0, max=MOST_GPUS)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        gpus: float = super().convert(value, param, ctx)
        if 0 < gpus < SMALLEST_SHARE or (gpus > 1 and gpus % 1):
            self.fail(
                f"{gpus:g} is neither 0, a share of one GPU from {SMALLEST_SHARE} on, nor a whole number.", param, ctx
            )
        return gpus


ray_options = grouped(
    click.option(
        "--ray",
        "ray_address",
        is_flag=False,
        flag_value=HERE,
        metavar="[ADDRESS]",
        help="Deal the work out to the workers of a Ray cluster (auto for the one that runs here); without an address "
        "one is started and stopped.",
    ),
    click.option(
        "--gpus-per-worker",
        type=Gpus(),
        metavar="GPUS",
        help="Of a worker under --ray; 0.5 for two on one GPU, 0 for CPUs  [default: 1, and 0 where there is no GPU].",
    ),
    click.option(
        "--workers",
        type=Whole(1, MOST_WORKERS),
        help="At most so many under --ray  [default: as the cluster has room].",
    ),
)
"""How many workers of which size do the work, and where."""


@attrs.frozen
class Clustered:
    """A cluster that this command's work goes to."""

    cluster: Cluster
    gpus_per_worker: float
    most: int | None
    modules: tuple[str, ...]

    def device(self, wanted: str) -> str:
        """The workers' device: whether this machine has a GPU does not matter."""
        if wanted == "auto":
            return "cuda" if self.gpus_per_worker else "cpu"
        if wanted == "cuda" and not self.gpus_per_worker:
            raise CachekitError("--device cuda takes workers with a GPU, and these have none; say --gpus-per-worker 1")
        return wanted

    def fleet(self, job: Job) -> Fleet:
        """The workers for this job."""
        from cachekit.scaling.dealing import Fleet, Need

        return Fleet(self.cluster, job, Need(self.gpus_per_worker, most=self.most), self.modules)


@contextmanager
def clustered(
    ray_address: str | None,
    gpus_per_worker: float | None,
    workers: int | None,
    shard: str | None,
    *,
    default_gpus: float = 1,
) -> Iterator[Clustered | None]:
    """The cluster that was asked for, for as long as the work takes; None without --ray.

    A worker has `default_gpus` where none are asked for and there are any.
    """
    if ray_address is None:
        if gpus_per_worker is not None or workers is not None:
            raise CachekitError("--gpus-per-worker and --workers are about --ray; say --ray too, or leave them out")
        yield None
        return
    if shard is not None:
        raise CachekitError("--shard and --ray both deal the work out; leave one of them out")
    from cachekit.registry.plugins import from_environment
    from cachekit.scaling.cluster import connected

    modules = from_environment()
    with connected(ray_address, modules) as cluster:
        gpus = gpus_per_worker if gpus_per_worker is not None else default_gpus * (cluster.gpus >= 1)
        if gpus > cluster.gpus and not workers_may_join(ray_address):
            raise CachekitError(
                f"--gpus-per-worker {gpus:g} is more than the {cluster.gpus:g} GPUs of this machine; say 0 for CPUs"
            )
        yield Clustered(cluster, gpus, workers, modules)


def workers_may_join(ray_address: str) -> bool:
    """Whether machines can be added to the cluster: not to one that was started here."""
    return ray_address != HERE


@attrs.define
class AtWork:
    """Counts what failed, and says what the bar says before each piece."""

    failed: int = 0

    def __call__(self, done: Done | None, failed: bool) -> str:
        self.failed += failed
        return at_work(done, self.failed)


def at_work(done: Done | None, failed: int) -> str:
    """How many workers there are, and how many pieces failed so far: what the bar says before the piece."""
    if done is None:
        return ""
    return f"{done.workers} worker{'s' if done.workers != 1 else ''}, {failed} failed: "
