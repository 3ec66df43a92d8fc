"""Names of resolutions, aspect ratios and lengths mean what they do in Open-Sora 1.2."""

import pytest

from cachekit import CachekitError
from cachekit.opensora.sizes import ASPECT_RATIOS, SIZES, frame_count, image_size, latent_size


@pytest.mark.parametrize(
    ("resolution", "aspect_ratio", "size"),
    [
        ("480p", "9:16", (480, 854)),
        ("480p", "16:9", (854, 480)),
        ("480p", "12:25", (444, 925)),
        ("480p", "4:3", (740, 555)),
        ("240p", "2:3", (262, 393)),
        ("144p", "1:1", (192, 192)),
        ("720p", "3:4", (832, 1110)),
        ("1080p", "3:8", (882, 2352)),
        ("2k", "50:27", (2772, 1330)),
        ("4k", "5:8", (2276, 3642)),
    ],
)
def test_a_size_by_name(resolution, aspect_ratio, size):
    assert image_size(resolution, aspect_ratio) == size


def test_every_named_size_has_about_its_ratio():
    """But 50:27, under which the published tables hold the sizes of 25:12."""
    for resolution in SIZES:
        for name in ASPECT_RATIOS:
            height, width = image_size(resolution, name)
            rows, columns = map(int, name.replace("50:27", "25:12").split(":"))
            assert height / width == pytest.approx(rows / columns, rel=0.02)


@pytest.mark.parametrize(
    ("size", "latent"),
    [
        ((51, 480, 854), (15, 60, 106)),
        ((1, 480, 854), (1, 60, 106)),
        ((16, 144, 256), (4, 18, 32)),
        ((20, 144, 256), (6, 18, 32)),
        ((102, 720, 1280), (30, 90, 160)),
    ],
)
def test_a_latent_size(size, latent):
    assert latent_size(*size) == latent


@pytest.mark.parametrize(("name", "count"), [("2s", 51), ("4x", 204), ("16s", 408), (17, 17), (1, 1)])
def test_a_length_by_name_or_number(name, count):
    assert frame_count(name) == count


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda: image_size("480", "9:16"), "480p"),
        (lambda: image_size("480p", "9:17:1"), "9:17"),
        (lambda: frame_count("3s"), "8s"),
        (lambda: frame_count(0), "from 1 to 10000"),
    ],
)
def test_a_name_that_means_nothing_is_refused_with_those_that_do(ask, said):
    with pytest.raises(CachekitError, match=said):
        ask()
