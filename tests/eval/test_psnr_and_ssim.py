"""PSNR and SSIM against their definitions, and against what nobody here wrote."""

import re
import subprocess

import cachekit_eval
import cv2
import numpy as np
import pytest
from cachekit_eval.metrics.psnr import psnr
from cachekit_eval.metrics.ssim import ssim
from skimage.metrics import structural_similarity


def scikit_image_ssim(gt, gen):
    options = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 1}
    return np.mean([structural_similarity(gt[..., c] / 255.0, gen[..., c] / 255.0, **options) for c in range(3)])


def blocks(levels, size, shape=(133, 121), seed=0):
    """A mosaic of flat blocks: where float32 rounds worst."""
    rng = np.random.default_rng(seed)
    grid = rng.choice(rng.integers(0, 256, levels), (shape[0] // size + 1, shape[1] // size + 1, 3)).astype(np.uint8)
    return np.ascontiguousarray(grid.repeat(size, 0).repeat(size, 1)[: shape[0], : shape[1]])


def test_psnr_is_ten_log_of_the_inverse_mse_over_values_in_0_to_1():
    gt, gen = np.zeros((20, 30, 3), np.uint8), np.full((20, 30, 3), 51, np.uint8)
    assert psnr(gt, gen) == pytest.approx(-10 * np.log10((51 / 255) ** 2), abs=1e-12)


def test_psnr_of_equal_frames_is_100_db(clip):
    frame = clip(1)[0]
    assert psnr(frame, frame) == 100


@pytest.mark.parametrize(("side", "expected"), [(240, 100), (20, -10 * np.log10(1 / (20 * 20 * 3 * 255**2)))])
def test_psnr_counts_100_db_where_the_mse_is_under_1e_10(side, expected):
    gt = np.zeros((side, side, 3), np.uint8)
    gen = gt.copy()
    gen[0, 0, 0] = 1
    assert psnr(gt, gen) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(48, 64), (11, 11), (12, 200), (84, 31), (75, 75)])
@pytest.mark.parametrize("error", [0.5, 20, 200])
def test_ssim_is_scikit_images(clip, shape, error):
    gt, gen = clip(1, *shape)[0], clip(1, *shape, error=error)[0]
    assert ssim(gt, gen) == pytest.approx(scikit_image_ssim(gt, gen), abs=1e-6)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("levels", "size"), [(2, 46), (4, 77), (2, 1), (3, 12)])
def test_ssim_is_scikit_images_on_flat_areas(levels, size, seed):
    gt, gen = blocks(levels, size, seed=seed), blocks(levels, size, seed=seed + 100)
    assert ssim(gt, gen) == pytest.approx(scikit_image_ssim(gt, gen), abs=1e-6)


@pytest.mark.parametrize(("a", "b"), [(150, 50), (0, 255), (255, 250), (1, 0)])
def test_ssim_is_scikit_images_on_single_colours(a, b):
    gt, gen = np.full((40, 50, 3), a, np.uint8), np.full((40, 50, 3), b, np.uint8)
    assert ssim(gt, gen) == pytest.approx(scikit_image_ssim(gt, gen), abs=1e-6)


def test_ssim_of_equal_frames_is_exactly_1(clip):
    frame = clip(1, 90, 70)[0]
    assert ssim(frame, frame) == 1.0


def test_the_real_pair_has_the_published_evaluators_figures(real_pair, golden):
    video = cachekit_eval.evaluate(*real_pair, ["psnr", "ssim"], per_frame=True).videos[0]
    assert video.frames == 120
    assert video.values["psnr"] == pytest.approx(golden["psnr"], abs=1e-4)
    assert video.values["ssim"] == pytest.approx(golden["ssim"], abs=1e-5)
    assert video.per_frame["psnr"][:3] == pytest.approx(golden["psnr_first_frames"], abs=1e-4)
    assert video.per_frame["ssim"][:3] == pytest.approx(golden["ssim_first_frames"], abs=1e-5)


def test_torchmetrics_agrees_where_it_computes_the_same(clip):
    """Its SSIM also averages over a border where the window hangs out of the frame (reflected); less that, it is ours.

    On the real pair the border makes 0.00845 (0.70744 with it, 0.69899 without); PSNR is within 4e-6 dB.
    """
    torch = pytest.importorskip("torch")
    image = pytest.importorskip("torchmetrics.functional.image")
    gt, gen = clip(1)[0], clip(1, error=20)[0]
    a, b = (torch.from_numpy(frame).permute(2, 0, 1)[None].double() / 255 for frame in (gt, gen))
    _, ssim_map = image.structural_similarity_index_measure(
        b, a, data_range=1.0, sigma=1.5, kernel_size=11, return_full_image=True
    )
    assert ssim(gt, gen) == pytest.approx(ssim_map[..., 5:-5, 5:-5].mean().item(), abs=1e-6)
    assert psnr(gt, gen) == pytest.approx(image.peak_signal_noise_ratio(b, a, data_range=1.0).item(), abs=1e-4)


def ffmpeg_filter(ffmpeg, name, gt, gen, tmp_path):
    """The figures of ffmpeg's `psnr` or `ssim` filter on RGB frames, by its names for them."""
    height, width = gt.shape[:2]
    inputs = []
    for side, frame in (("gen", gen), ("gt", gt)):
        (tmp_path / side).write_bytes(frame.tobytes())
        inputs += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-i", str(tmp_path / side)]
    planes = "[0]format=gbrp[a];[1]format=gbrp[b];[a][b]"
    command = [ffmpeg, "-v", "error", *inputs, "-lavfi", f"{planes}{name}=stats_file={name}.log", "-f", "null", "-"]
    subprocess.run(command, check=True, cwd=tmp_path)
    return {key: float(value) for key, value in re.findall(r"(\w+):([\d.]+)", (tmp_path / f"{name}.log").read_text())}


def test_ffmpegs_psnr_agrees_on_rgb_frames(clip, ffmpeg, tmp_path):
    """On the real pair as it stands (YUV 4:2:0) ffmpeg says 26.41 dB: luma and subsampled chroma planes, not RGB."""
    gt, gen = clip(1)[0], clip(1, error=20)[0]
    mse = ffmpeg_filter(ffmpeg, "psnr", gt, gen, tmp_path)["mse_avg"]
    assert psnr(gt, gen) == pytest.approx(10 * np.log10(255**2 / mse), abs=1e-3)


def test_ffmpegs_ssim_differs_by_its_window_alone(clip, ffmpeg, tmp_path):
    """Its window is a flat 8x8 at every fourth position, with the sample variance; with that ours would be ffmpeg's.

    On the real pair: 0.7935 in YUV, 0.7101 in RGB, 0.7086 by its window on our frames, 0.6990 by the protocol's.
    """
    gt, gen = clip(1)[0], clip(1, error=20)[0]
    expected = np.mean([flat_window_ssim(gt[..., c], gen[..., c]) for c in range(3)])
    assert ffmpeg_filter(ffmpeg, "ssim", gt, gen, tmp_path)["All"] == pytest.approx(expected, abs=1e-5)
    assert abs(ssim(gt, gen) - expected) > 1e-3


def flat_window_ssim(x, y):
    x, y = x.astype(float), y.astype(float)

    def sums(values):
        return cv2.sepFilter2D(values, -1, np.ones(8), np.ones(8), anchor=(0, 0))[:-7:4, :-7:4]

    sx, sy, squares, product = sums(x), sums(y), sums(x * x + y * y), sums(x * y)
    c1, c2 = (0.01 * 255) ** 2 * 64, (0.03 * 255) ** 2 * 64 * 63
    variances, covariance = squares * 64 - sx * sx - sy * sy, product * 64 - sx * sy
    return np.mean((2 * sx * sy + c1) * (2 * covariance + c2) / ((sx * sx + sy * sy + c1) * (variances + c2)))
