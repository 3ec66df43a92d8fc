"""`--ray`: the same work by the workers of a cluster."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("ray")
pytestmark = pytest.mark.usefixtures("ray_here")

TESTS = Path(__file__).parents[1]
MODEL = ("--plugin", "waiting_model", "--model")


def prompts(count):
    return [word for number in range(count) for word in ("--prompt", f"scene {number}")]


@pytest.fixture(autouse=True)
def no_other_plugins(monkeypatch):
    monkeypatch.setenv("CACHEKIT_PLUGINS", "")


def made(folder):
    """Every video's bytes, and what the manifest says of each but times."""
    lines = [json.loads(line) for line in (folder / "manifest.jsonl").open()]
    for line in lines:
        assert all(line.pop(key) for key in ("seconds", "host", "machine"))
    return {path.name: path.read_bytes() for path in folder.glob("*.mkv")}, {line["file"]: line for line in lines}


def run(cachekit, out, *options, count=12, model="waiting"):
    how = ("--strategy", "uniform", "--set", "computed=2", "--format", "mkv")
    return cachekit("run", *MODEL, model, *prompts(count), *how, "--out", out, *options)


@pytest.mark.parametrize("workers", [1, 3])
def test_workers_make_the_bytes_that_one_process_makes(cachekit, tmp_path, workers):
    assert run(cachekit, tmp_path / "whole")[0] == 0
    status, out, errors = run(cachekit, tmp_path / "dealt", "--ray", "auto", "--workers", workers)
    assert status == 0, errors
    assert "12 of 12 videos" in out
    assert made(tmp_path / "dealt") == made(tmp_path / "whole")


def test_a_dealt_folder_goes_on_where_it_stopped(cachekit, tmp_path):
    run(cachekit, tmp_path / "out", count=5)
    status, _, errors = run(cachekit, tmp_path / "out", "--ray", "auto", count=7)
    assert status == 0
    assert errors.count("there already") == 5
    assert len(made(tmp_path / "out")[1]) == 7


def test_a_worker_killed_at_work_costs_no_video_and_is_named_nowhere(cachekit, tmp_path, killing):
    pids = tmp_path / "pids"
    pids.mkdir()
    killed = killing(pids, 3)
    status, _, errors = run(
        cachekit, tmp_path / "dealt", "--ray", "auto", "--workers", 2, model=f"waiting:seconds=0.3:pids={pids}"
    )
    assert status == 0, errors
    assert len(killed) == 3
    assert len(list(pids.iterdir())) >= 5
    run(cachekit, tmp_path / "whole")
    dealt, whole = (made(tmp_path / name) for name in ("dealt", "whole"))
    assert dealt[0] == whole[0]


@pytest.fixture
def killing():
    """Kills so many of the workers that have loaded the model, one after another, with -9."""
    threads = []

    def killing(pids, count):
        killed = []

        def kill():
            deadline = time.monotonic() + 120
            while len(killed) < count and time.monotonic() < deadline:
                for path in sorted(pids.iterdir()):
                    if path.name not in killed and len(killed) < count:
                        time.sleep(0.2)
                        os.kill(int(path.name), signal.SIGKILL)
                        killed.append(path.name)
                time.sleep(0.05)

        threads.append(threading.Thread(target=kill))
        threads[-1].start()
        return killed

    yield killing
    for thread in threads:
        thread.join()


def test_a_piece_that_kills_every_worker_is_given_up_and_named_and_the_others_are_made(cachekit, tmp_path):
    fatal = ("--prompt", "this is deadly")
    status, out, errors = run(
        cachekit, tmp_path / "out", "--ray", "auto", *fatal, count=4, model="waiting:fatal=deadly"
    )
    assert status == 1
    assert "this-is-deadly" in errors
    assert "failed: its workers were lost 4 times" in errors
    assert "4 of 5 videos" in out


def test_a_piece_that_fails_by_itself_is_named_and_not_tried_again(cachekit, tmp_path):
    status, out, errors = run(cachekit, tmp_path / "out", "--ray", "auto", "--prompt", "cannot be made", count=2)
    assert status == 1
    assert "failed: ValueError: it cannot be made" in errors
    assert "2 of 3 videos" in out


def test_a_plugin_that_the_workers_lack_is_named_with_the_machine(cachekit, tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text((TESTS / "waiting_model.py").read_text().replace('"waiting"', '"here"'))
    monkeypatch.syspath_prepend(tmp_path)
    status, _, errors = cachekit(
        "run",
        "--plugin",
        "only_here",
        "--model",
        "here",
        "--strategy",
        "none",
        "--out",
        tmp_path / "out",
        "--ray",
        "auto",
    )
    assert status == 2
    assert f"the worker on {os.uname().nodename} lacks a plugin that the work needs" in errors
    assert "only_here" in errors


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--ray", "auto", "--shard", "1/2"), "--shard and --ray both deal the work out"),
        (("--gpus-per-worker", 1), "are about --ray"),
        (("--ray", "auto", "--device", "cuda", "--gpus-per-worker", 0), "say --gpus-per-worker 1"),
    ],
)
def test_options_that_contradict_each_other_are_refused(cachekit, tmp_path, options, reason):
    status, _, errors = run(cachekit, tmp_path / "out", *options)
    assert status == 2
    assert reason in errors
