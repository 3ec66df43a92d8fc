"""The script of docs/scaling.md for one generation over several GPUs, run as it stands there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch.distributed as dist

from cachekit.diffusers.tiny import tiny_pipeline

PAGE = Path(__file__).parents[2] / "docs" / "scaling.md"

pytestmark = pytest.mark.skipif(not dist.is_available() or not dist.is_gloo_available(), reason="torch without gloo")

ON_PROCESSORS = """
import runpy, sys
sys.path[:0] = [{here!r} + "/..", {here!r}]
from several import count_processors
count_processors()
runpy.run_path(__file__.replace("on_processors", "one_video"), run_name="__main__")
"""
"""The script on a machine without a GPU, where diffusers would find nothing to share the tokens among."""


def test_two_processes_make_one_video_with_one_pattern(tmp_path):
    (script,) = re.findall(r"```python\n(# torchrun.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (tmp_path / "one_video.py").write_text(script, encoding="utf-8")
    (tmp_path / "on_processors.py").write_text(ON_PROCESSORS.format(here=str(Path(__file__).parent)), encoding="utf-8")
    tiny_pipeline("wan").save_pretrained(tmp_path / "tiny")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run(
        [*launcher, str(tmp_path / "on_processors.py"), str(tmp_path / "tiny"), "32", "32", "5"],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""},
        capture_output=True,
        text=True,
        timeout=400,
    )
    assert done.returncode == 0, done.stderr
    said = dict(re.findall(r"rank (\d): (\S+ \S+)", done.stdout))
    assert set(said) == {"0", "1"}
    assert said["0"] == said["1"]
    pattern = said["0"].split()[0]
    assert len(pattern) == 30
    assert "." in pattern
