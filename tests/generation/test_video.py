"""Videos on disk: names, formats, and wholeness."""

import av
import pytest
import torch

from cachekit.files.writing import clean_leftovers
from cachekit.generation.video import video_name, write_video


def frames(height=16, width=24, count=5):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (count, height, width, 3), dtype=torch.uint8, generator=generator)


def read(path):
    with av.open(str(path)) as container:
        return torch.stack([torch.from_numpy(f.to_ndarray(format="rgb24")) for f in container.decode(video=0)])


AWKWARD = [
    "a/b\\c:d*e?f",
    "x" * 5000,
    "CON",
    "..",
    "ends with dot.",
    "赤い円",
    "new\nline",
    "quote\"s and 'more'",
    "A red circle",
    "a red circle",
    "a red circle ",
    "a-red-circle",
]


def test_any_prompt_makes_a_safe_name_and_no_two_share_one():
    names = [video_name(prompt, 0) for prompt in AWKWARD]
    assert len({name.lower() for name in names}) == len(AWKWARD)
    for name in names:
        assert len(name) < 120
        assert all(c.isalnum() or c == "-" for c in name)
        assert name.isascii()


def test_seed_and_repetition_are_part_of_the_name():
    assert len({video_name("p", 0), video_name("p", 1), video_name("p", 0, 1), video_name("p", 1, 1)}) == 4


def test_mkv_is_lossless(tmp_path):
    made = frames()
    write_video(tmp_path / "v.mkv", made, 8)
    assert torch.equal(read(tmp_path / "v.mkv"), made)


@pytest.mark.parametrize(("height", "width"), [(16, 24), (17, 23)])
def test_mp4_keeps_size_count_and_rate(tmp_path, height, width):
    write_video(tmp_path / "v.mp4", frames(height, width), 8)
    assert read(tmp_path / "v.mp4").shape == (5, height, width, 3)
    with av.open(str(tmp_path / "v.mp4")) as container:
        assert float(container.streams.video[0].average_rate) == 8.0


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_same_frames_make_the_same_file(tmp_path, suffix):
    first = write_video(tmp_path / f"a.{suffix}", frames(), 8)
    second = write_video(tmp_path / f"b.{suffix}", frames(), 8)
    assert first == second


def test_a_failed_write_leaves_nothing(tmp_path):
    with pytest.raises(ValueError):
        write_video(tmp_path / "v.mp4", frames().float(), 8)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_cleared_away(tmp_path):
    (tmp_path / ".v.mp4.partial").write_bytes(b"half")
    (tmp_path / "v.mp4").write_bytes(b"whole")
    clean_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["v.mp4"]
