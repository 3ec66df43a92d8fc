"""Videos of different shapes: an error, unless the caller asks for what the papers' evaluator does."""

import cachekit_eval
import numpy as np
import pytest
import torch
import torchvision.transforms.functional as functional
from cachekit_eval.fitting import fit


@pytest.fixture
def pair(tmp_path, write_video):
    def write(gt, gen):
        write_video(tmp_path / "gt" / "a.mkv", gt)
        write_video(tmp_path / "gen" / "a.mkv", gen)
        return tmp_path / "gt", tmp_path / "gen"

    return write


def test_different_sizes_are_an_error_naming_both_files_and_sizes(pair, clip):
    gt, gen = pair(clip(2, 48, 64), clip(2, 40, 60))
    (failure,) = cachekit_eval.evaluate(gt, gen, ["psnr"]).failures
    assert f"'{gt}/a.mkv' has frames of 48x64 and '{gen}/a.mkv' of 40x60" in failure.reason
    assert "--resize" in failure.reason


@pytest.mark.parametrize(("here", "there"), [(5, 3), (3, 5), (3, 4)])
def test_different_frame_counts_are_an_error_naming_both_files_and_shapes(pair, clip, here, there):
    gt, gen = pair(clip(5)[:here], clip(5)[:there])
    (failure,) = cachekit_eval.evaluate(gt, gen, ["psnr"]).failures
    assert f"'{gt}/a.mkv' has {here} frames of 48x64 and '{gen}/a.mkv' {there} frames of 48x64" in failure.reason
    assert "--common-frames" in failure.reason


@pytest.mark.parametrize(("here", "there", "longer"), [(5, 3, "gt"), (3, 5, "gen")])
def test_common_frames_compares_the_first_that_both_have_and_says_so(pair, clip, here, there, longer):
    result = cachekit_eval.evaluate(*pair(clip(5)[:here], clip(5)[:there]), ["psnr"], common_frames=True)
    assert result["psnr"].mean == 100
    assert result.videos[0].frames == 3
    assert result.videos[0].notes == (f"only the first 3 of {longer}'s 5 frames were compared",)


def test_resize_crops_the_middle_of_a_larger_gt_and_says_so(pair, clip):
    frames = clip(2, 48, 64)
    result = cachekit_eval.evaluate(*pair(frames, [f[4:44, 2:62] for f in frames]), ["psnr"], resize=True)
    assert result["psnr"].mean == 100
    assert result.videos[0].notes == ("gt's frames of 48x64 were cropped to the middle 40x60",)


@pytest.mark.parametrize("gt_size", [(24, 32), (24, 100), (100, 32), (47, 64), (20, 70)])
def test_resize_of_a_smaller_gt_is_the_published_evaluators(clip, gt_size):
    """Its resized size is max(h, int(h * H/W)) x max(w, int(w * W/H)), then the middle is cropped."""
    (frame,), (h, w), (big_h, big_w) = clip(1, *gt_size), (48, 64), gt_size
    size = [max(h, int(h * (big_h / big_w))), max(w, int(w * (big_w / big_h)))]
    resized = functional.resize(torch.from_numpy(frame).permute(2, 0, 1), size).permute(1, 2, 0).numpy()
    top, left = (size[0] - h) // 2, (size[1] - w) // 2
    assert np.array_equal(fit(frame, (h, w)), resized[top : top + h, left : left + w])


def test_resize_of_a_smaller_gt_is_said(pair, clip):
    result = cachekit_eval.evaluate(*pair(clip(2, 24, 32), clip(2, 48, 64)), ["psnr"], resize=True)
    assert result.videos[0].notes == ("gt's frames of 24x32 were resized to 48x85 and cropped to the middle 48x64",)


def test_frames_smaller_than_the_window_are_an_error_that_names_the_metric(pair, clip):
    folders = pair(clip(2, 10, 64), clip(2, 10, 64))
    (failure,) = cachekit_eval.evaluate(*folders, ["psnr", "ssim"]).failures
    assert "has frames of 10x64, and SSIM needs at least 11x11; leave ssim out with --metrics" in failure.reason
    assert cachekit_eval.evaluate(*folders, ["psnr"]).complete
