"""What an evaluation says of folders: means, spread, failures; the same to the last digit, in flat memory."""

import sys
import time
import tracemalloc

import attrs
import cachekit_eval
import numpy as np
import pytest
from cachekit_eval import Metric

from cachekit.errors import CachekitError


@attrs.define
class Difference(Metric):
    """Mean absolute difference, as a stranger would write it."""

    label = "MAD"
    protocol = "mean absolute difference of values in [0, 255]"
    higher_is_better = False
    batch_size = 4
    scale: float = 1.0

    def compare(self, gt, gen):
        return np.abs(gt.astype(float) - gen).mean(axis=(1, 2, 3)) * self.scale


def test_a_videos_figure_is_the_mean_over_its_frames_and_a_folders_over_its_videos(folders):
    result = cachekit_eval.evaluate(*folders, ["psnr", "ssim"], per_frame=True)
    for metric in ("psnr", "ssim"):
        figures = [np.mean(video.per_frame[metric]) for video in result.videos]
        assert [video.values[metric] for video in result.videos] == pytest.approx(figures, rel=1e-14)
        assert result[metric].mean == pytest.approx(np.mean(figures), rel=1e-14)
        assert result[metric].std == pytest.approx(np.std(figures), rel=1e-12)
        assert (result[metric].worst, result[metric].worst_value) == ("c", result.videos[2].values[metric])


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_same_input_gives_the_same_digits_in_any_number_of_threads(folders, threads):
    expected = cachekit_eval.evaluate(*folders, ["psnr", "ssim"], per_frame=True, threads=2)
    assert cachekit_eval.evaluate(*folders, ["psnr", "ssim"], per_frame=True, threads=threads) == expected


def test_per_frame_figures_are_kept_only_where_asked_for(folders):
    assert cachekit_eval.evaluate(*folders, ["psnr"]).videos[0].per_frame is None


def test_a_bad_pair_is_named_and_the_others_are_evaluated(folders):
    (folders[1] / "b.mkv").write_bytes(b"")
    result = cachekit_eval.evaluate(*folders, ["psnr"])
    assert [failure.name for failure in result.failures] == ["b"]
    assert [video.name for video in result.videos] == ["a", "c"]
    assert result["psnr"].mean is None
    assert result["psnr"].evaluated_mean == np.mean([video.values["psnr"] for video in result.videos])


def test_where_every_pair_fails_there_is_no_summary(folders):
    for name in "abc":
        (folders[0] / f"{name}.mkv").write_bytes(b"")
    result = cachekit_eval.evaluate(*folders, ["psnr"])
    assert result["psnr"] is None
    assert len(result.failures) == 3


def test_memory_does_not_grow_with_the_number_and_length_of_the_videos(tmp_path, clip, write_video):
    pairs, frames, height, width = 3, 160, 96, 128
    for index in range(pairs):
        for side in ("gt", "gen"):
            write_video(tmp_path / side / f"{index}.mkv", clip(frames, height, width))

    class Slow(Difference):
        """Slower than the reading of frames, which must then wait."""

        thread_safe = True

        def compare(self, gt, gen):
            time.sleep(0.004)
            return super().compare(gt, gen)

    tracemalloc.start()
    cachekit_eval.evaluate(tmp_path / "gt", tmp_path / "gen", ["psnr", "ssim", Slow()], threads=2)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    one_video = frames * height * width * 3
    assert peak < one_video


STRANGER = """
import attrs, numpy as np, cachekit, cachekit_eval
@attrs.define
class Levels(cachekit_eval.Metric):
    label, protocol, unit, higher_is_better = "LEV", "levels apart", "levels", False
    scale: float = 1.0
    def compare(self, gt, gen):
        return [float(self.scale)] * len(gt)
@cachekit.hookimpl
def cachekit_metrics(register):
    register("levels", Levels)
"""


def test_a_metric_object_is_given_batches_and_its_worst_is_the_largest(folders):
    result = cachekit_eval.evaluate(*folders, [Difference(scale=2.0)], per_frame=True)
    assert result["difference"].worst == "c"
    assert len(result.videos[0].per_frame["difference"]) == 5


def test_a_strangers_metric_registers_as_the_shipped_ones_do(folders, tmp_path, monkeypatch, cachekit):
    (tmp_path / "levels_metric.py").write_text(STRANGER)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("CACHEKIT_PLUGINS", "")
    arguments = ("eval", "--gt", folders[0], "--gen", folders[1], "--plugin", "levels_metric")
    status, out, _ = cachekit(*arguments, "--metrics", "levels:scale=2.5")
    assert status == 0
    assert "LEV (levels)" in out
    assert "2.5000" in out
    sys.modules.pop("levels_metric")


@pytest.mark.parametrize(
    ("figures", "reason"),
    [
        (lambda gt: [float("nan")] * len(gt), "'broken' is no number for frame 0"),
        (lambda gt: [1.0], "'broken' gave 1 figures for 4 frames"),
        (lambda gt: 1 / 0, "'broken' failed with ZeroDivisionError"),
    ],
)
@pytest.mark.parametrize("threads_used", [False, True])
def test_a_metric_that_goes_wrong_is_a_failure_that_names_it(folders, figures, reason, threads_used):
    class Broken(Difference):
        thread_safe = threads_used

        def compare(self, gt, gen):
            return figures(gt)

    failures = cachekit_eval.evaluate(*folders, [Broken()]).failures
    assert len(failures) == 3
    assert reason in failures[0].reason


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        (["ssmi"], "no metric named 'ssmi'; did you mean 'ssim'"),
        (["psnr", "psnr"], "'psnr' is asked for twice"),
        (["psnr:size=3"], "no metric named 'psnr:size=3'"),
        ([], "no metric is asked for"),
    ],
)
def test_a_wrong_choice_of_metrics_is_refused(folders, metrics, message):
    with pytest.raises(CachekitError, match=message):
        cachekit_eval.evaluate(*folders, metrics)


def test_looking_up_the_metrics_imports_no_torch():
    import subprocess

    code = "import sys, cachekit_eval, cachekit_eval.evaluation; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
