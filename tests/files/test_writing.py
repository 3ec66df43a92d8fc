"""Writing aside: a file is the old one or the new one, whole."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cachekit.errors import CachekitError, StoppedError
from cachekit.files.locking import owned
from cachekit.files.writing import (
    append_whole,
    aside_of,
    check_folder,
    check_target,
    clean_leftovers,
    cut_torn_line,
    write_whole,
)


def test_a_file_that_can_not_be_written_leaves_the_old_one(tmp_path):
    target = tmp_path / "r.json"
    write_whole(target, "old", "the result")
    aside_of(target).mkdir()
    with pytest.raises(CachekitError, match=r"the result '.*r\.json' can't be written"):
        write_whole(target, "new", "the result")
    assert target.read_text() == "old"


def test_what_a_link_leads_to_is_written_and_its_mode_stays(tmp_path):
    target, link = tmp_path / "target", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o600)
    link.symlink_to(target)
    write_whole(link, "new", "the result")
    assert link.is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o600


def test_a_device_is_written_to_and_stays_one():
    write_whole(Path("/dev/null"), "gone", "the result")
    assert Path("/dev/null").is_char_device()
    with pytest.raises(StoppedError, match="No space left on device; make room"):
        write_whole(Path("/dev/full"), "gone", "the result")


def test_what_a_dead_process_left_is_removed_and_a_living_one_s_stays(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    names = [f".results.json.{dead.pid}", f".index.html.{dead.pid}", ".v.mp4.partial"]
    for name in [*names, ".keep", f".results.json.{os.getpid()}"]:
        (tmp_path / name).write_text("half")
    ours = aside_of(tmp_path / "v.mkv")
    ours.write_text("being written")
    theirs = tmp_path / ours.name.replace(f"-{os.getpid()}.", f"-{dead.pid}.")
    theirs.write_text("half")
    elsewhere = tmp_path / ".w.mkv.aaaaaa-1.partial"
    elsewhere.write_text("being written on another machine")
    clean_leftovers(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [".keep", f".results.json.{os.getpid()}", ours.name, elsewhere.name]
    )
    os.utime(elsewhere, (time.time() - 7200,) * 2)
    clean_leftovers(tmp_path)
    assert not elsewhere.exists()


def test_a_line_torn_by_a_kill_is_cut_away_before_the_next(tmp_path):
    path = tmp_path / "lines"
    path.write_bytes(b"one\ntw" + b"o" * 200_000)
    append_whole(path, "three\n", "the lines")
    assert path.read_bytes() == b"one\nthree\n"
    path.write_bytes(b"torn from the start")
    cut_torn_line(path)
    assert path.read_bytes() == b""


@pytest.mark.parametrize("name", [".", "no/where", "x" * 300, "/proc/nothing/here"])
def test_a_target_that_can_not_be_is_refused_and_nothing_is_made(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(CachekitError):
        check_target(Path(name), "the result")
    assert not list(tmp_path.iterdir())


def test_a_folder_that_can_not_be_made_is_refused_and_nothing_is_made(tmp_path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "more"):
        with pytest.raises(CachekitError, match="can't be written to"):
            check_folder(folder)
    check_folder(tmp_path / "new" / "deep")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


HOLD = """
import sys, time
from pathlib import Path
from cachekit.files.locking import owned
with owned(Path(sys.argv[1]), "cachekit run"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_told_of_the_first_and_a_dead_one_holds_nothing(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with (
        pytest.raises(CachekitError, match=f"cachekit run, process {holder.pid} on .* is at work"),
        owned(tmp_path, "x"),
    ):
        pass
    holder.kill()
    holder.wait()
    with owned(tmp_path, "cachekit run"):
        pass
    assert not list(tmp_path.iterdir())
