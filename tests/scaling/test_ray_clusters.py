"""Which cluster `--ray` means: none here, one that can't be reached, and one that is started for the work."""

import http.server
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
COMMAND = [
    sys.executable,
    "-c",
    "from cachekit.cli import main; main()",
    "run",
    "--strategy",
    "none",
    "--format",
    "mkv",
]

needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


def test_without_ray_the_error_names_the_extra_and_the_rest_works(cachekit, weights, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    command = ("run", "--weights", weights, "--steps", 2, "--prompt", "a red circle", "--strategy", "none")
    status, _, errors = cachekit(*command, "--out", tmp_path / "out", "--ray")
    assert status == 2
    assert "pip install 'cachekit-dit[ray]'" in errors
    assert cachekit(*command, "--out", tmp_path / "out")[0] == 0


@needs_ray
@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "http://127.0.0.1:6379"])
def test_an_address_that_is_none_is_refused_with_how_to_write_one(cachekit, tmp_path, address):
    status, _, errors = cachekit("run", "--ray", address, "--out", tmp_path / "out")
    assert status == 2
    assert "write --ray HOST:6379" in errors


@needs_ray
@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_where_nothing_listens_is_a_sentence_at_once(cachekit, tmp_path, scheme):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"{scheme}127.0.0.1:{free.getsockname()[1]}"
    started = time.monotonic()
    status, _, errors = cachekit("run", "--ray", address, "--out", tmp_path / "out")
    assert status == 2
    assert f"nothing answers at the Ray address {address!r}" in errors
    assert time.monotonic() - started < 20


@needs_ray
@pytest.mark.parametrize("host", ["x" * 300, "a..b", "\udcff", "[::1%x]", "\x1b[31m"])
def test_a_name_that_no_host_can_have_is_a_sentence(cachekit, tmp_path, host):
    status, out, errors = cachekit("run", "--ray", f"{host}:6379", "--out", tmp_path / "out")
    assert status == 2
    assert "Traceback" not in out + errors
    assert "\x1b" not in errors
    (line,) = errors.splitlines()
    assert "Ray address" in line
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--workers", value) for value in ("0", "-1", "2.5", "nan", "none", "", "99999999999", "9" * 5000)),
        *(("--gpus-per-worker", value) for value in ("nan", "inf", "-1", "1.5", "1e-9", "1e9", "", "x", "9" * 5000)),
    ],
)
@pytest.mark.parametrize("command", [("run",), ("compare",), ("calibrate", "magcache"), ("eval",)], ids=lambda c: c[0])
def test_workers_that_can_not_be_are_refused_before_anything_is_started(cachekit, command, option, value):
    status, out, errors = cachekit(*command, "--ray", option, value)
    assert status == 2
    assert "Traceback" not in out + errors
    assert f"Invalid value for '{option}'" in errors


@needs_ray
def test_an_address_where_something_else_listens_is_a_sentence_within_twenty_seconds(cachekit, tmp_path):
    server = http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    started = time.monotonic()
    status, _, errors = cachekit("run", "--ray", f"127.0.0.1:{server.server_port}", "--out", tmp_path / "out")
    server.shutdown()
    assert status == 2
    assert "is no Ray of this version" in errors
    assert time.monotonic() - started < 20


@needs_ray
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGKILL])
def test_a_driver_that_is_stopped_leaves_a_folder_that_goes_on_and_no_ray(tmp_path, stop):
    """The module is in a folder of its own: `--plugin` sends it to the workers."""
    (tmp_path / "plugins").mkdir()
    for name in ("waiting_model.py", "stand_ins.py"):
        (tmp_path / "plugins" / name).write_text((TESTS / name).read_text())
    prompts = [word for number in range(30) for word in ("--prompt", f"scene {number}")]
    model = ("--plugin", "stand_ins", "--plugin", "waiting_model", "--model", "waiting:seconds=0.3")
    environment = {
        **os.environ,
        "PYTHONPATH": str(tmp_path / "plugins"),
        "OMP_NUM_THREADS": "1",
        "CACHEKIT_PLUGINS": "",
    }
    command = [*COMMAND, *model, *prompts, "--out", str(tmp_path / "out")]
    process = subprocess.Popen(
        [*command, "--ray", "--workers", "2"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    manifest = tmp_path / "out" / "manifest.jsonl"
    deadline = time.monotonic() + 150
    while not manifest.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(stop)
    _, errors = process.communicate()
    assert "Traceback" not in errors
    recorded = [json.loads(line) for line in manifest.read_text().splitlines() if line.endswith("}")]
    assert 1 <= len(recorded) < 30
    for line in recorded:
        assert (tmp_path / "out" / line["file"]).exists()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stderr.count("there already") == len(recorded)
    assert len(list((tmp_path / "out").glob("*.mkv"))) == 30
