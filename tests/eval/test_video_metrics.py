"""Metrics of whole videos: flicker, VMAF, and a stranger's own; and MS-SSIM, against its definition."""

import json
import re
import subprocess
import sys

import attrs
import cachekit_eval
import cv2
import numpy as np
import pytest
import torch
from cachekit_eval import VideoMetric
from cachekit_eval.metrics.flicker import Flicker
from cachekit_eval.metrics.ms_ssim import ms_ssim
from cachekit_eval.reading import Reader

from cachekit.errors import CachekitError


def brighter(frames, levels):
    return [
        np.clip(frame.astype(int) + level, 0, 255).astype(np.uint8) for frame, level in zip(frames, levels, strict=True)
    ]


@pytest.fixture
def grey(tmp_path, write_video):
    """gt and gen of one flat video each, gen's frames off by these levels."""

    def write(*levels):
        frames = [np.full((16, 16, 3), 100, np.uint8)] * len(levels)
        write_video(tmp_path / "gt" / "a.mkv", frames)
        write_video(tmp_path / "gen" / "a.mkv", brighter(frames, levels))
        return tmp_path / "gt", tmp_path / "gen"

    return write


def test_flicker_is_the_change_of_the_differences_between_frames(clip, grey):
    gt, gen = (np.asarray(clip(6, error=error), float) for error in (0, 9))
    expected = np.abs(np.diff(gen, axis=0) - np.diff(gt, axis=0)).mean()
    pairs = zip(clip(6), clip(6, error=9), strict=True)
    assert Flicker().compare(pairs, None) == pytest.approx(expected, rel=1e-12)


def test_a_constant_error_does_not_flicker_and_one_that_comes_and_goes_does(grey):
    assert cachekit_eval.evaluate(*grey(20, 20, 20, 20), ["flicker"])["flicker"].mean == 0
    assert cachekit_eval.evaluate(*grey(0, 20, 0, 20), ["flicker"])["flicker"].mean == 20


def test_a_video_of_one_frame_has_no_flicker_and_that_is_said(grey):
    (failure,) = cachekit_eval.evaluate(*grey(3), ["flicker"]).failures
    assert "flicker needs at least 2; leave flicker out with --metrics" in failure.reason


@pytest.mark.parametrize("error", [2, 25, 120])
@pytest.mark.parametrize("shape", [(176, 192), (256, 320)])
def test_ms_ssim_is_the_reference_packages(clip, shape, error):
    reference = pytest.importorskip("pytorch_msssim").ms_ssim
    gt, gen = clip(1, *shape)[0], clip(1, *shape, error=error)[0]
    a, b = (torch.from_numpy(frame).permute(2, 0, 1)[None].double() for frame in (gt, gen))
    assert ms_ssim(gt, gen) == pytest.approx(reference(a, b, data_range=255).item(), abs=1e-6)


@pytest.mark.parametrize("shape", [(161, 161), (187, 203)])
def test_ms_ssim_of_odd_sizes_halves_as_its_authors_do(clip, shape):
    """Each scale by plain loops over windows, at a size whose halves are odd."""
    gt, gen = clip(1, *shape)[0], clip(1, *shape, error=30)[0]
    assert ms_ssim(gt, gen) == pytest.approx(plain_ms_ssim(gt, gen), abs=1e-9)
    assert ms_ssim(gt, gt) == 1


def plain_ms_ssim(gt, gen):
    window = cv2.getGaussianKernel(11, 1.5) @ cv2.getGaussianKernel(11, 1.5).T
    channels = []
    for x, y in zip(np.moveaxis(gt.astype(float), 2, 0), np.moveaxis(gen.astype(float), 2, 0), strict=True):
        figure = 1.0
        for scale, weight in enumerate((0.0448, 0.2856, 0.3001, 0.2363, 0.1333)):
            if scale:
                x, y = (np.pad(z, [(0, side % 2) for side in z.shape], mode="edge") for z in (x, y))
                x, y = ((z[::2, ::2] + z[1::2, ::2] + z[::2, 1::2] + z[1::2, 1::2]) / 4 for z in (x, y))
            views = [np.lib.stride_tricks.sliding_window_view(z, (11, 11)) for z in (x, y)]
            mx, my = ((view * window).sum((2, 3)) for view in views)
            xx, yy = ((view * view * window).sum((2, 3)) for view in views)
            xy = (views[0] * views[1] * window).sum((2, 3))
            part = (2 * (xy - mx * my) + 58.5225) / (xx - mx * mx + yy - my * my + 58.5225)
            if scale == 4:
                part = part * (2 * mx * my + 6.5025) / (mx * mx + my * my + 6.5025)
            figure *= max(part.mean(), 0) ** weight
        channels.append(figure)
    return np.mean(channels)


def test_metrics_that_are_not_for_every_video_are_computed_where_they_are_named(folders):
    assert {"flicker", "ms-ssim", "vmaf"} & set(cachekit_eval.evaluate(*folders).videos[0].values) == set()


def test_ms_ssim_of_small_frames_says_what_it_needs(folders):
    assert "MS-SSIM needs at least 161x161" in cachekit_eval.evaluate(*folders, ["ms-ssim"]).failures[0].reason


def vmaf_by_the_command(ffmpeg, gt, gen, tmp_path):
    command = [ffmpeg, "-v", "error", "-i", gen, "-i", gt, "-lavfi", "libvmaf=log_fmt=json:log_path=v.json"]
    subprocess.run([*command, "-f", "null", "-"], check=True, cwd=tmp_path)
    return json.loads((tmp_path / "v.json").read_text())["pooled_metrics"]["vmaf"]["mean"]


def test_vmaf_is_the_ffmpeg_commands(real_pair, ffmpeg, tmp_path):
    """Ours goes through RGB, which all metrics see, and back to 4:2:0: 0.1 of 100 apart at most."""
    video = cachekit_eval.evaluate(*real_pair, ["vmaf"], per_frame=True).videos[0]
    files = [folder / "carphone.mp4" for folder in real_pair]
    assert video.values["vmaf"] == pytest.approx(vmaf_by_the_command(ffmpeg, *files, tmp_path), abs=0.1)
    assert len(video.per_frame["vmaf"]) == video.frames == 120


def test_vmaf_without_an_ffmpeg_that_has_it_says_how_to_get_one(folders, cachekit, monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("cachekit_eval.metrics.vmaf._packaged_command", lambda: None)
    arguments = ("eval", "--gt", folders[0], "--gen", folders[1])
    status, _, err = cachekit(*arguments, "--metrics", "vmaf")
    assert status == 2
    assert "there is no ffmpeg with libvmaf here" in err and "pip install imageio-ffmpeg" in err
    status, _, err = cachekit(*arguments, "--metrics", f"vmaf:ffmpeg={sys.executable}")
    assert status == 2
    assert "is no ffmpeg with libvmaf" in err


def test_a_model_that_vmaf_does_not_have_is_a_failure_that_says_so(folders, cachekit, ffmpeg):
    arguments = ("eval", "--gt", folders[0], "--gen", folders[1], "--metrics", "vmaf:model=vmaf_v9")
    status, out, _ = cachekit(*arguments)
    assert status == 1
    assert "the metric 'vmaf' failed" in out


@attrs.define
class Duration(VideoMetric):
    """How long a video is, as a stranger would write a metric of whole videos."""

    label, protocol, unit = "DUR", "frames over frames a second", "s"

    def compare(self, pairs, fps):
        return sum(1 for _ in pairs) / fps


def test_a_metric_of_videos_is_given_the_frames_as_a_stream_and_their_rate(folders):
    result = cachekit_eval.evaluate(*folders, [Duration()], per_frame=True)
    assert result["duration"].mean == pytest.approx(5 / 24)
    assert result.videos[0].per_frame == {}


def test_a_metric_of_videos_may_have_a_figure_for_each_frame(folders):
    class Levels(Duration):
        def compare(self, pairs, fps):
            return [float(gt.mean() - gen.mean()) for gt, gen in pairs]

    video = cachekit_eval.evaluate(*folders, [Levels()], per_frame=True).videos[0]
    assert len(video.per_frame["levels"]) == 5
    assert video.values["levels"] == pytest.approx(np.mean(video.per_frame["levels"]))


def test_a_metric_that_has_seen_enough_holds_up_nothing(tmp_path, clip, write_video):
    class First(Duration):
        def compare(self, pairs, fps):
            next(pairs)
            return 1.0

    for side in ("gt", "gen"):
        write_video(tmp_path / side / "a.mkv", clip(60))
    result = cachekit_eval.evaluate(tmp_path / "gt", tmp_path / "gen", [First(), "psnr"])
    assert (result["first"].mean, result.videos[0].frames) == (1, 60)


@pytest.mark.parametrize(
    ("compare", "reason"),
    [
        (lambda pairs: 1 / 0, "'broken' failed with ZeroDivisionError"),
        (lambda pairs: float("nan"), "'broken' is no number"),
        (lambda pairs: [1.0, 2.0], "'broken' gave 2 figures for 5 frames"),
        (lambda pairs: "many", "'broken' failed with ValueError"),
        (lambda pairs: None, "'broken' is no number"),
    ],
)
def test_a_metric_of_videos_that_goes_wrong_is_a_failure_that_names_it(folders, compare, reason):
    class Broken(Duration):
        def compare(self, pairs, fps):
            return compare(pairs)

    failures = cachekit_eval.evaluate(*folders, [Broken(), "psnr"]).failures
    assert len(failures) == 3
    assert reason in failures[0].reason


def test_a_video_that_breaks_off_ends_the_metrics_stream(folders):
    class Patient(Duration):
        def compare(self, pairs, fps):
            return float(len(list(pairs)))

    data = (folders[1] / "b.mkv").read_bytes()
    (folders[1] / "b.mkv").write_bytes(data[: len(data) // 2])
    result = cachekit_eval.evaluate(*folders, [Patient()])
    assert [failure.name for failure in result.failures] == ["b"]
    assert "cut short" in result.failures[0].reason


class Distance(Duration):
    """The distance of mean colours over all videos: a figure of a folder, as FVD's, and none of a video."""

    label, protocol, higher_is_better, pooled = "FD", "distance of the means of colours over all videos", False, True

    def compare(self, pairs, fps):
        gt, gen = zip(*((a.mean((0, 1)), b.mean((0, 1))) for a, b in pairs), strict=True)
        return [*np.mean(gt, axis=0), *np.mean(gen, axis=0)]

    def pool(self, features):
        means = np.mean(features, axis=0)
        return float(np.linalg.norm(means[:3] - means[3:]))


def test_a_pooled_metric_has_one_figure_of_all_videos(folders):
    result = cachekit_eval.evaluate(*folders, [Distance(), "psnr"])
    frames = {
        folder: [frame for name in "abc" for frame in Reader(folder / f"{name}.mkv").frames()] for folder in folders
    }
    expected = np.linalg.norm(np.mean(frames[folders[0]], axis=(0, 1, 2)) - np.mean(frames[folders[1]], axis=(0, 1, 2)))
    assert result["distance"].mean == pytest.approx(expected)
    assert (result["distance"].worst, result["distance"].interval) == (None, None)
    assert result.videos[0].values["distance"] is None


def test_a_pooled_metric_has_no_figure_for_the_whole_where_a_pair_failed(folders):
    (folders[1] / "b.mkv").write_bytes(b"")
    result = cachekit_eval.evaluate(*folders, [Distance()])
    assert result["distance"].mean is None
    assert result["distance"].evaluated_mean > 0


def test_a_pooled_metrics_numbers_are_kept_for_the_next_run(folders, tmp_path):
    first = cachekit_eval.evaluate(*folders, [Distance()], keep_in=tmp_path / "r.json")

    class Distant(Distance):
        def compare(self, pairs, fps):
            raise AssertionError("computed anew")

    Distant.__name__ = "Distance"
    second = cachekit_eval.evaluate(*folders, [Distant()], keep_in=tmp_path / "r.json")
    assert second["distance"] == first["distance"]


def test_a_pooled_metric_without_pool_is_an_error_that_names_it(folders):
    class Poolless(Distance):
        pool = VideoMetric.pool

    with pytest.raises(CachekitError, match="'poolless' failed with NotImplementedError"):
        cachekit_eval.evaluate(*folders, [Poolless()])


STRANGER = """
import attrs, cachekit, cachekit_eval
@attrs.define
class Seconds(cachekit_eval.VideoMetric):
    label, protocol = "SEC", "seconds"
    scale: float = 1.0
    def compare(self, pairs, fps):
        return self.scale * sum(1 for _ in pairs) / fps
@cachekit.hookimpl
def cachekit_metrics(register):
    register("seconds", Seconds)
"""


def test_a_strangers_metric_of_videos_registers_as_one_of_frames_does(folders, tmp_path, monkeypatch, cachekit):
    (tmp_path / "seconds_metric.py").write_text(STRANGER)
    monkeypatch.syspath_prepend(str(tmp_path))
    arguments = ("eval", "--gt", folders[0], "--gen", folders[1], "--plugin", "seconds_metric")
    status, out, _ = cachekit(*arguments, "--metrics", "seconds:scale=24")
    assert status == 0
    assert re.search(r"SEC.*5\.0000", out, re.DOTALL)
    sys.modules.pop("seconds_metric")
