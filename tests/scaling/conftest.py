"""A small Ray cluster on this machine, started once for the tests that deal work out to it."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def ray_here():
    """Three CPUs to be had, on however few there are: its workers wait more than they work."""
    from cachekit.scaling.cluster import import_ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))  # where the workers find the plugins that tests bring
        yield from started(import_ray())


def started(ray):
    ray.init(
        "local",
        num_cpus=3,
        object_store_memory=80 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
    )
    yield ray
    ray.shutdown()
