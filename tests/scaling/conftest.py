"""A small Ray cluster on this machine, started once for the tests that deal work out to it."""

from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def ray_here():
    """Three CPUs to be had, on however few there are: its workers wait more than they work."""
    pytest.importorskip("ray")
    from cachekit.scaling.cluster import import_ray

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))  # where the workers find the plugins that tests bring
        ray = import_ray()
        start(ray, attempts=3)
        yield ray
        ray.shutdown()


def start(ray, attempts):
    """Ray gives a machine half a minute to start it, which a busy one may not manage."""
    try:
        ray.init(
            "local",
            num_cpus=3,
            object_store_memory=80 * 2**20,
            include_dashboard=False,
            log_to_driver=False,
            logging_level="error",
        )
    except Exception:
        ray.shutdown()
        if attempts == 1:
            raise
        start(ray, attempts - 1)
