"""Whole files that look cut short, cut files that look whole, and files that are no video."""

import socket
import subprocess

import numpy as np
import pytest
from cachekit_eval.reading import Reader, UnreadableVideoError

FFV1 = ("-c:v", "ffv1")
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


def read(path):
    reader = Reader(path)
    return list(reader.frames()), reader.notes


def test_bytes_after_a_gifs_end_are_no_fault(make_file, tmp_path):
    path = make_file(tmp_path / "a.gif", frames=4)
    path.write_bytes(path.read_bytes() + b"\0made by a tool;\0\0")
    assert len(read(path)[0]) == 4


@pytest.mark.parametrize("end", [b"", b";", b"\0;;"])
def test_a_gif_cut_in_a_picture_is_refused_whatever_its_last_byte_is(make_file, tmp_path, end):
    path = make_file(tmp_path / "a.gif", frames=4)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + end)
    with pytest.raises(UnreadableVideoError, match=r"cut short|damaged"):
        read(path)


@pytest.mark.parametrize("name", ["a.gif", "a.mkv", "a.mp4", "a.webm"])
def test_a_last_frame_shown_long_is_whole(make_file, tmp_path, name):
    codec = {"a.gif": (), "a.mkv": X264, "a.mp4": X264, "a.webm": ("-c:v", "libvpx-vp9")}[name]
    late = ("-vf", "setpts='if(gte(N,3),N+30,N)/8/TB'", "-fps_mode", "passthrough")
    path = make_file(tmp_path / name, *late, *codec, *(("-final_delay", "500") if name == "a.gif" else ()), frames=4)
    assert len(read(path)[0]) == 4


def test_a_matroska_whose_tags_promise_a_longer_last_frame_is_whole(make_file, ffmpeg, tmp_path):
    whole = make_file(tmp_path / "whole.mkv", *FFV1, frames=4)
    path = tmp_path / "a.mkv"
    data = whole.read_bytes()
    at = data.index(b"00:00:00.500000000")
    path.write_bytes(data[:at] + b"00:00:09.500000000" + data[at + 18 :])
    assert len(read(path)[0]) == 4


@pytest.mark.parametrize("codec", [("mpeg4",), ("mjpeg", "-pix_fmt", "yuvj420p"), ("libx264", "-pix_fmt", "yuv420p")])
def test_an_avi_with_empty_frames_is_whole_and_said(make_file, tmp_path, codec):
    gap = ("-vf", "setpts='if(gte(N,3),N+3,N)/8/TB'", "-fps_mode", "passthrough")
    frames, notes = read(make_file(tmp_path / "a.avi", *gap, "-c:v", *codec, frames=6))
    assert len(frames) == 6
    assert notes == ["3 empty frames, which repeat the one before, are no frames of their own"]


def test_frames_that_an_edit_list_leaves_out_are_no_loss(make_file, ffmpeg, tmp_path):
    whole = make_file(tmp_path / "whole.mp4", *X264, "-g", "8", frames=8)
    path = tmp_path / "a.mp4"
    subprocess.run([ffmpeg, "-v", "error", "-ss", "0.4", "-i", whole, "-c", "copy", path], check=True)
    command = [ffmpeg, "-v", "error", "-i", path, "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    shown = subprocess.run(command, check=True, capture_output=True).stdout
    assert b"".join(frame.tobytes() for frame in read(path)[0]) == shown


def test_bytes_after_an_mp4s_or_avis_end_are_no_fault(make_file, tmp_path):
    for name, codec in (("a.mp4", X264), ("a.avi", ("-c:v", "mpeg4")), ("a.mkv", FFV1)):
        path = make_file(tmp_path / name, *codec, frames=4)
        path.write_bytes(path.read_bytes() + b"some tool's notes, longer than any header")
        assert len(read(path)[0]) == 4


@pytest.mark.parametrize("share", [0.35, 0.7, 0.97])
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.m4v", (*X264, "-f", "mp4", "-movflags", "faststart")),
        ("a.ts", ("-c:v", "mpeg2video", "-r", "25")),
        ("a.apng", ("-f", "apng")),
        ("a.webp", ("-c:v", "libwebp", "-frames:v", "1")),
        ("a.y4m", ("-pix_fmt", "yuv420p")),
        ("a.avi", ("-c:v", "mpeg4")),
        ("a.mkv", (*FFV1, "-live", "1")),
    ],
)
def test_a_cut_file_of_any_format_is_refused(make_file, tmp_path, name, options, share):
    path = make_file(tmp_path / name, *options, frames=12)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UnreadableVideoError, match=r"cut short|damaged"):
        read(path)


@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_a_cut_jpeg_frame_is_refused(make_file, tmp_path, share):
    (tmp_path / "a").mkdir()
    make_file(tmp_path / "a" / "%03d.jpg", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", frames=3)
    last = tmp_path / "a" / "003.jpg"
    data = last.read_bytes()
    last.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(UnreadableVideoError, match=r"003\.jpg.*cut short"):
        read(tmp_path / "a")


def test_a_folder_of_jpeg_frames_is_a_video(make_file, ffmpeg, tmp_path):
    (tmp_path / "a").mkdir()
    make_file(tmp_path / "a" / "frame%d.JPG", "-c:v", "mjpeg", "-pix_fmt", "yuvj420p", frames=11)
    frames, notes = read(tmp_path / "a")
    assert np.shape(frames) == (11, 64, 96, 3)
    assert notes == []


SESSION = (
    "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n"
)
PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nhttp://127.0.0.1:{port}/a.ts\n#EXT-X-ENDLIST\n"
CONCATENATION = "ffconcat version 1.0\nfile http://127.0.0.1:{port}/a.mp4\n"
MANIFEST = '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
MANIFEST += "<BaseURL>http://127.0.0.1:{port}/</BaseURL></AdaptationSet></Period></MPD>"


@pytest.mark.parametrize("text", [SESSION, PLAYLIST, CONCATENATION, MANIFEST])
@pytest.mark.parametrize("name", ["a.mp4", "a.ts"])
def test_a_text_that_names_other_media_opens_no_socket(tmp_path, text, name, monkeypatch):
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        server.settimeout(0.05)
        (tmp_path / name).write_text(text.format(port=server.getsockname()[1]))
        with pytest.raises(UnreadableVideoError, match="can't be read as a video"):
            read(tmp_path / name)
        with pytest.raises(TimeoutError):
            server.accept()


def test_an_animated_webp_is_refused_with_what_to_do(make_file, tmp_path):
    path = make_file(tmp_path / "a.webp", "-c:v", "libwebp_anim", frames=3)
    try:
        assert len(read(path)[0]) == 3  # a libav that knows them
    except UnreadableVideoError as error:
        assert "animated WebP" in str(error) and "make it a GIF or a video" in str(error)
