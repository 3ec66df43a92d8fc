"""What can be read, what is converted and said so, and what is refused."""

import gc
import unicodedata

import av
import cachekit_eval
import cv2
import numpy as np
import pytest
from cachekit_eval.reading import Reader, UnreadableVideoError


def read(path):
    reader = Reader(path)
    return list(reader.frames()), reader.notes


@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "libx264", "yuv420p"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mov", "libx264", "yuv420p"),
        ("A.MP4", "libx264", "yuv420p"),
    ],
)
def test_every_format_is_read_whole(tmp_path, clip, write_video, name, codec, pix_fmt):
    frames, notes = read(write_video(tmp_path / name, clip(7), codec, pix_fmt))
    assert np.shape(frames) == (7, 48, 64, 3)
    assert np.abs(np.asarray(frames, float) - clip(7)).mean() < 12
    assert notes == []


def test_a_gif_is_read(tmp_path, clip, write_video):
    frames, notes = read(write_video(tmp_path / "a.gif", clip(4), "gif", "rgb8"))
    assert np.shape(frames) == (4, 48, 64, 3)
    assert notes == []


def test_lossless_frames_come_back_bit_for_bit(tmp_path, clip, write_video):
    assert np.array_equal(read(write_video(tmp_path / "a.mkv", clip(3)))[0], clip(3))


def test_a_folder_of_png_frames_is_a_video_in_the_order_of_their_numbers(tmp_path, clip, write_frames):
    assert np.array_equal(read(write_frames(tmp_path / "a", clip(12)))[0], clip(12))


def test_odd_sizes_are_read(tmp_path, clip, write_video):
    frames, _ = read(write_video(tmp_path / "a.mkv", clip(2, 33, 47), "ffv1", "yuv420p"))
    assert np.shape(frames) == (2, 33, 47, 3)


@pytest.mark.parametrize(
    ("pix_fmt", "notes"),
    [
        ("gray", ["grey frames repeated over three channels"]),
        ("yuv420p10le", ["10-bit colour (yuv420p10le) converted to 8 bits"]),
        ("bgra", ["alpha channel (bgra) left out"]),
    ],
)
def test_grey_10_bit_and_alpha_are_converted_and_said(tmp_path, clip, write_video, pix_fmt, notes):
    frames, said = read(write_video(tmp_path / "a.mkv", clip(2), "ffv1", pix_fmt))
    assert np.shape(frames) == (2, 48, 64, 3)
    assert said == notes


def test_grey_and_alpha_pngs_keep_their_values(tmp_path):
    for name, image in (("grey", np.full((20, 20), 77, np.uint8)), ("alpha", np.full((20, 20, 4), 77, np.uint8))):
        (tmp_path / name).mkdir()
        cv2.imwrite(str(tmp_path / name / "1.png"), image)
        frames, notes = read(tmp_path / name)
        assert np.all(frames[0] == 77)
        assert len(notes) == 1


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])


@pytest.mark.parametrize("share", [0.3, 0.6, 0.8])
@pytest.mark.parametrize(
    ("name", "codec", "pix_fmt"),
    [
        ("a.mp4", "libx264", "yuv420p"),
        ("a.mkv", "ffv1", "bgr0"),
        ("a.webm", "libvpx-vp9", "yuv420p"),
        ("a.avi", "mpeg4", "yuv420p"),
        ("a.mov", "libx264", "yuv420p"),
        ("a.gif", "gif", "rgb8"),
    ],
)
def test_a_truncated_file_is_refused(tmp_path, clip, write_video, name, codec, pix_fmt, share):
    path = write_video(tmp_path / name, clip(40), codec, pix_fmt)
    cut(path, share)
    with pytest.raises(UnreadableVideoError, match=r"cut short|damaged"):
        read(path)


@pytest.mark.parametrize("frames_left", [3, 39])
def test_a_file_cut_between_two_frames_is_refused(tmp_path, clip, write_video, frames_left):
    """Nothing is damaged then; only the header, which is at the front of this file, knows that frames are missing."""
    path = write_video(tmp_path / "a.mp4", clip(40), "mpeg4", "yuv420p", movflags="faststart")
    with av.open(str(path)) as container:
        packets = [packet for packet in container.demux(video=0) if packet.size]
        end = packets[frames_left - 1].pos + packets[frames_left - 1].size
    path.write_bytes(path.read_bytes()[:end])
    with pytest.raises(UnreadableVideoError, match=f"cut short: its header says 40 frames, there are {frames_left}"):
        read(path)


def test_a_truncated_png_is_refused(tmp_path, clip, write_frames):
    cut(write_frames(tmp_path / "a", clip(2)) / "frame2.png", 0.5)
    with pytest.raises(UnreadableVideoError, match=r"frame2\.png.*cut short"):
        read(tmp_path / "a")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.mp4").touch()
    with pytest.raises(UnreadableVideoError, match=r"a\.mp4' is empty \(0 bytes\)"):
        read(tmp_path / "a.mp4")


def test_a_file_that_is_no_video_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_text("this is a text, whatever its name says\n" * 50)
    with pytest.raises(UnreadableVideoError, match="no video"):
        read(tmp_path / "a.mp4")


def test_sound_alone_is_refused(tmp_path):
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", 44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 44100
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(UnreadableVideoError, match="has no video in it"):
        read(tmp_path / "a.mp4")


def test_a_video_with_no_frames_is_refused(tmp_path, write_video):
    with pytest.raises(UnreadableVideoError, match=r"has no frames|no video"):
        read(write_video(tmp_path / "a.avi", [], "mpeg4", "yuv420p"))


def test_a_size_that_changes_on_the_way_is_refused(tmp_path, clip, write_frames):
    write_frames(tmp_path / "a", [*clip(2), *clip(1, 20, 30)])
    with pytest.raises(UnreadableVideoError, match="changes size on the way, from 48x64 to 20x30"):
        read(tmp_path / "a")


@pytest.mark.parametrize(
    "name",
    [
        "a cat, two dogs-0",
        "\"quoted\" 'twice'-1",
        "日本の庭 🌸-2",
        "two\nlines-3",
        "http: not a protocol-4",
        "100%d of it-5",
        "[brackets] and *stars*-6",
        "v1.5-7",
    ],
)
@pytest.mark.parametrize("as_frames", [False, True])
def test_any_name_is_read_and_paired(tmp_path, clip, write_video, write_frames, name, as_frames):
    for folder in ("gt", "gen"):
        if as_frames:
            write_frames(tmp_path / folder / name, clip(2))
        else:
            write_video(tmp_path / "plain.mkv", clip(2))
            (tmp_path / folder).mkdir()
            (tmp_path / "plain.mkv").rename(tmp_path / folder / f"{name}.mkv")
    result = cachekit_eval.evaluate(tmp_path / "gt", tmp_path / "gen", ["psnr"])
    assert result.videos[0].name == unicodedata.normalize("NFC", name)
    assert result["psnr"].mean == 100


def test_frames_are_let_go_without_pythons_collector(tmp_path, clip, write_video):
    """Frames that waited for it made the memory of many pairs 1.7 times that of one."""
    path = write_video(tmp_path / "a.mp4", clip(30), "libx264", "yuv420p")
    gc.collect()
    gc.disable()
    try:
        read(path)
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        frames = sum(isinstance(left, av.VideoFrame) for left in gc.garbage)
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()
    assert frames <= 1
