"""The benchmark runs and its figures hold together; what they are on a machine is not a test's to say."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "evaluator.py"


@pytest.mark.skipif(sys.platform != "linux", reason="the benchmark reads peak memory from /proc")
def test_the_benchmark_measures_speed_agreement_and_memory(tmp_path):
    options = ["--pairs", "2", "--frames", "3", "--height", "32", "--width", "48", "--baseline-frames", "4"]
    subprocess.run(
        [sys.executable, BENCHMARK, *options, "--json", tmp_path / "r.json"], check=True, capture_output=True
    )
    figures = json.loads((tmp_path / "r.json").read_text())
    assert figures["largest_ssim_difference"] < 1e-6
    assert figures["times_faster"] == pytest.approx(figures["evaluator_fps"] / figures["scikit_image_fps"])
    assert figures["peak_ratio"] == pytest.approx(figures["peak_mib_of_all_pairs"] / figures["peak_mib_of_one_pair"])
