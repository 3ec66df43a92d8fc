"""A Ray cluster: joined by its address, or started here and stopped when the work is done."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import attrs

from cachekit.errors import CachekitError

if TYPE_CHECKING:
    pass

HERE, RUNNING = "here", "auto"
"""In place of an address: a Ray of our own, and whichever runs on this machine or is named by RAY_ADDRESS."""
PATIENCE = 12.0
"""Seconds in which a cluster must answer."""
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_DISABLE_IMPORT_WARNING": "1",
    "RAY_TQDM": "0",
}
"""What keeps Ray from talking to the user in our place."""


@attrs.frozen
class Cluster:
    """A Ray that this process is connected to."""

    ray: ModuleType

    def capacity(self, cpus: float, gpus: float) -> int:
        """How many workers of so many CPUs and GPUs each the whole cluster has room for, now."""
        there = self.ray.cluster_resources()
        rooms = [there.get(name, 0.0) / each for name, each in (("CPU", cpus), ("GPU", gpus)) if each > 0]
        return int(min(rooms) + 1e-6) if rooms else 1

    @property
    def gpus(self) -> float:
        return float(self.ray.cluster_resources().get("GPU", 0.0))


def import_ray() -> ModuleType:
    """Ray, or a CachekitError that names the extra which brings it."""
    for name, value in QUIET.items():
        os.environ.setdefault(name, value)
    try:
        import ray
    except ModuleNotFoundError:
        raise CachekitError(
            "--ray needs Ray; install it with `pip install 'cachekit-dit[ray]'`, or leave --ray out"
        ) from None
    module: ModuleType = ray
    return module


@contextmanager
def connected(address: str, modules: Sequence[str]) -> Iterator[Cluster]:
    """A cluster for as long as the work takes; the plugin modules named are sent to its workers.

    A Ray that this process is connected to already is used as it is. Nothing can be printed to standard output until
    the work is done: Ray's own words would stand between a command's. Raises CachekitError where the address can't be
    reached, within 20 s.
    """
    ray = import_ray()
    if ray.is_initialized():
        yield Cluster(ray)
        return
    where = None if address == HERE else address
    if where is not None:
        check_reachable(where)
    try:
        ray.init(
            where or "local",
            log_to_driver=False,
            logging_level="error",
            include_dashboard=False if where is None else None,
            runtime_env={"py_modules": [str(source_of(module)) for module in modules]} if modules else None,
        )
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise CachekitError(
            f"no Ray could be {'joined at ' + repr(where) if where else 'started here'}: {reason}; "
            "start one with `ray start --head`, or say --ray without an address"
        ) from error
    try:
        with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):  # Ray prints what goes wrong to workers
            yield Cluster(ray)
    finally:
        ray.shutdown()


def check_reachable(address: str) -> None:
    """Ask a cluster whether it is there, by Ray's own health check: joining one that is not takes minutes."""
    if address == RUNNING:
        return
    host, port = host_and_port(address)
    try:
        socket.create_connection((host, port), timeout=PATIENCE / 3).close()
    except (OSError, UnicodeError) as error:  # the second for a name that no host can have
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise CachekitError(
            f"nothing answers at the Ray address {address[:80]!r} ({reason}); start a cluster with "
            "`ray start --head` and name its address, or say --ray without one"
        ) from error
    if not address.startswith("ray://") and not is_healthy(f"{host}:{port}"):
        raise CachekitError(
            f"what answers at {address!r} is no Ray of this version; name the address that `ray start --head` shows"
        )


def host_and_port(address: str) -> tuple[str, int]:
    match = re.fullmatch(r"(?:ray://)?(\[[^\]]+\]|[^:/\[\]]+):(\d{1,5})/?", address)
    if match is None or not 0 < int(match[2]) < 65536:
        raise CachekitError(
            f"the Ray address {address[:80]!r} is none; write --ray HOST:6379, --ray ray://HOST:10001 or --ray auto"
        )
    return match[1].strip("[]"), int(match[2])


def is_healthy(address: str) -> bool:
    """Whether a Ray of this version answers there."""
    command = [sys.executable, "-m", "ray.scripts.scripts", "health-check", "--address", address]
    try:
        return subprocess.run(command, capture_output=True, timeout=PATIENCE, check=False).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def source_of(name: str) -> Path:
    """The file or folder of a top-level module, which Ray sends to the workers."""
    top = name.partition(".")[0]
    module: Any = sys.modules.get(top)
    file = getattr(module, "__file__", None)
    if file is None:
        raise CachekitError(
            f"the plugin module {name!r} is no file, so it can't be sent to the workers; install it there"
        )
    path = Path(file)
    return path.parent if path.name == "__init__.py" else path
