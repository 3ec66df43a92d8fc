"""A crop that the container asks for (MP4's `clap`, Matroska's PixelCrop) is the command's, to every digit."""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import cachekit_eval
import pytest
from cachekit_eval.cropping import FROM_TEMPLATE
from cachekit_eval.reading import Reader, UnreadableVideoError

TREE = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
X264 = ("-c:v", "libx264", "-pix_fmt")
APERTURES = {
    "centred": (80, 48, 0, 0),
    "odd": (79, 47, 1, -1),
    "at a corner": (33, 21, -63, 43),
    "of two rows": (96, 2, 0, 0),
    "whole": (96, 64, 0, 0),
}
"""Width and height in pixels, and twice how far the middle is moved to the right and down."""

pytestmark = pytest.mark.skipif(
    av.library_versions["libavformat"] < (61, 7, 0) or not hasattr(av.container.OutputContainer, FROM_TEMPLATE),
    reason="this libavformat reads no crop from a container",
)


def with_aperture(source: Path, path: Path, width: int, height: int, right: int, down: int) -> Path:
    """An MP4 with a `clap` box (ISO/IEC 14496-12, 12.1.4) put into its sample entry; its index stands last."""
    content = bytearray(source.read_bytes())
    box = struct.pack(">I4s8i", 40, b"clap", width, 1, height, 1, right, 2, down, 2)
    at, grown = 0, []
    for name in TREE:
        while content[at + 4 : at + 8] != name:
            at += struct.unpack(">I", content[at : at + 4])[0]
        grown.append(at)
        at += 8
    at += 8
    grown.append(at)
    at += struct.unpack(">I", content[at : at + 4])[0]
    content[at:at] = box
    for place in grown:
        (size,) = struct.unpack(">I", content[place : place + 4])
        content[place : place + 4] = struct.pack(">I", size + len(box))
    path.write_bytes(content)
    return path


@pytest.fixture
def reference(ffmpeg: str) -> Callable[[Path], bytes]:
    """The frames of a file as the command gives them, each coded one once."""

    def read(path: Path) -> bytes:
        command = [ffmpeg, "-v", "error", "-i", path, "-fps_mode", "passthrough"]
        shown = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
        return shown.stdout

    return read


@pytest.mark.parametrize("aperture", APERTURES)
@pytest.mark.parametrize("form", ["yuv420p", "yuv422p", "yuv444p"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_frames_are_the_commands(suffix, form, aperture, make_file, ffmpeg, reference, tmp_path):
    source = make_file(tmp_path / "whole.mp4", *X264, form)
    path = with_aperture(source, tmp_path / "a.mp4", *APERTURES[aperture])
    if suffix == "mkv":
        path, cut = tmp_path / "a.mkv", path
        subprocess.run([ffmpeg, "-v", "error", "-i", cut, "-c", "copy", path], check=True)
    reader = Reader(path)
    assert b"".join(frame.tobytes() for frame in reader.frames()) == reference(path)
    assert any("container crops it" in note for note in reader.notes) == (aperture != "whole")


def test_a_crop_that_leaves_nothing_is_refused_as_by_the_command(make_file, ffmpeg, tmp_path):
    source = make_file(tmp_path / "whole.mp4", *X264, "yuv420p")
    path = with_aperture(source, tmp_path / "a.mp4", 1, 1, 0, 0)
    with pytest.raises(UnreadableVideoError, match=r"can't be made RGB .*cropped by 31 top"):
        list(Reader(path).frames())
    command = [ffmpeg, "-v", "error", "-i", path, "-f", "null", "-"]
    assert subprocess.run(command, capture_output=True, check=False).returncode != 0


def test_a_crop_comes_before_a_rotation(make_file, turned, reference, tmp_path):
    source = make_file(tmp_path / "whole.mp4", *X264, "yuv422p")
    cut = with_aperture(source, tmp_path / "cut.mp4", 70, 50, 6, -4)
    path = turned(cut, tmp_path / "a.mp4", "-display_rotation", "90")
    frames = list(Reader(path).frames())
    assert frames[0].shape == (70, 50, 3)
    assert b"".join(frame.tobytes() for frame in frames) == reference(path)


def test_a_cropped_file_compares_with_one_of_its_size_and_the_result_says_so(make_file, tmp_path):
    for side in ("gt", "gen"):
        (tmp_path / side).mkdir()
    make_file(tmp_path / "gt" / "a.mp4", "-vf", "crop=80:48:8:8", "-c:v", "libx264", "-qp", "0")
    source = make_file(tmp_path / "whole.mp4", "-c:v", "libx264", "-qp", "0")
    with_aperture(source, tmp_path / "gen" / "a.mp4", 80, 48, 0, 0)
    (video,) = cachekit_eval.evaluate(tmp_path / "gt", tmp_path / "gen", ["psnr"]).videos
    assert video.values["psnr"] > 40
    assert "gen: its container crops it: 8 top, 8 bottom, 8 left, 8 right" in video.notes
