"""`--pipeline-arg NAME=VALUE`: values of the argument's type and within bounds reach the call, all else is refused."""

from __future__ import annotations

import os
from pathlib import Path

import av
import diffusers
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from tiny_model import run_command

from cachekit import CachekitError
from cachekit.diffusers.arguments import COMMANDS_OWN, UNCHANGED, call_arguments
from cachekit.diffusers.tiny import tiny_pipeline
from cachekit.generation.bounds import memory_bytes

HUGE = "9" * 5000
DEEP = "[" * 5000 + "]" * 5000
KINDS = ("WanPipeline", "WanVideoToVideoPipeline", "FluxImg2ImgPipeline", "LTXConditionPipeline", "SanaVideoPipeline")


def refused(*words: str, kind: str = "WanPipeline") -> str:
    with pytest.raises(CachekitError) as caught:
        call_arguments(getattr(diffusers, kind), words)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 1000
    return said


@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "NaN", HUGE, "1e999", "", "true", "0x10", DEEP])
def test_a_number_is_finite(value):
    assert "the argument guidance_scale_2 of WanPipeline" in refused(f"guidance_scale_2={value}")


@pytest.mark.parametrize(
    "word",
    [
        *("max_sequence_length=99999999999", "max_sequence_length=-1", "max_sequence_length=true"),
        *("height=99999999999", "height=0", "height=-32", "height=none", "height=32.0", "width=1e3", "width=[32]"),
        *("num_frames=0", "num_frames=1000000", f"num_frames={HUGE}", "num_frames=none"),
        'attention_kwargs={"scale": 99999999999}',
    ],
)
def test_a_whole_number_is_one_and_within_bounds(word):
    name = word.partition("=")[0]
    assert f"the argument {name} of WanPipeline" in refused(word)


@pytest.mark.parametrize("value", ["3", DEEP, '{"scale": NaN}', '{"scale": 1e999}', r'{"a": "\ud800"}', "{"])
def test_an_object_is_json_s(value):
    assert "must be dict[str, Any]" in refused(f"attention_kwargs={value}")


@pytest.mark.parametrize("name", ["self", "args", "kwargs", "", "x" * 5000, "[red]", "__class__"])
def test_a_name_that_is_no_argument_is_refused_and_what_there_is_named(name):
    said = refused(f"{name}=3")
    assert "no argument of WanPipeline named" in said
    assert "negative_prompt" in said
    assert "callback" not in said


@pytest.mark.parametrize("name", [*COMMANDS_OWN, *UNCHANGED])
def test_what_the_commands_give_is_theirs(name):
    assert "is the command's own" in refused(f"{name}=3")


def test_bytes_that_are_no_text_are_refused():
    assert "no UTF-8" in refused("negative_prompt=\udcff")
    assert "no UTF-8" in refused("\udcff=3")


def test_a_name_is_given_once():
    assert "given twice" in refused("height=32", "height=32")


@pytest.mark.parametrize("value", ["3", "print", "[1.0]"])
def test_what_no_word_can_say_is_refused(value):
    assert "must be Tensor" in refused(f"prompt_embeds={value}")


@pytest.mark.parametrize(
    ("kind", "word", "value"),
    [
        ("WanPipeline", "height=480", 480),
        ("WanPipeline", "guidance_scale_2=3", 3.0),
        ("WanPipeline", "guidance_scale_2=none", None),
        ("WanPipeline", "negative_prompt=5", "5"),
        ("WanPipeline", "negative_prompt=true", "true"),
        ("WanPipeline", "negative_prompt=none", None),
        ("WanPipeline", 'attention_kwargs={"scale": 0.5}', {"scale": 0.5}),
        ("LTXConditionPipeline", "decode_timestep=[0.05, 0.1]", [0.05, 0.1]),
        ("LTXConditionPipeline", "decode_timestep=0.05", 0.05),
        ("SanaVideoPipeline", "clean_caption=true", True),
        ("SanaVideoPipeline", 'complex_human_instruction=["a", "b"]', ["a", "b"]),
        ("StableDiffusionXLPipeline", "original_size=[1024, 512]", (1024, 512)),
    ],
)
def test_a_value_is_of_the_type_that_the_argument_says(kind, word, value):
    ((_, got),) = call_arguments(getattr(diffusers, kind), [word]).items()
    assert got == value
    assert type(got) is type(value)


@given(
    kind=st.sampled_from(KINDS),
    number=st.integers(0, 100),
    value=st.one_of(st.text(), st.sampled_from(["nan", "-inf", "none", "true", HUGE, DEEP, "{}", "[[0.5]]", "-1"])),
)
def test_no_word_raises_anything_but_one_sentence(kind, number, value):
    pipeline = getattr(diffusers, kind)
    names = list(pipeline.__call__.__code__.co_varnames)
    try:
        call_arguments(pipeline, [f"{names[number % len(names)]}={value}"])
    except CachekitError as error:
        assert "\n" not in str(error) or "\n" in value


def film(path: Path) -> Path:
    """Three grey frames."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width = stream.height = 32
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 128, np.uint8), "rgb24")))
        container.mux(stream.encode())
    return path


def test_a_video_is_given_by_its_file(tmp_path):
    given = call_arguments(diffusers.WanVideoToVideoPipeline, [f"video={film(tmp_path / 'a.mp4')}"])
    assert [frame.size for frame in given["video"]] == [(32, 32)] * 3


@pytest.mark.parametrize(
    ("kind", "name"), [("WanVideoToVideoPipeline", "video"), ("FluxImg2ImgPipeline", "image")], ids=["video", "image"]
)
@pytest.mark.parametrize("odd", ["", ".", "/dev/zero", "a\0b", "x" * 5000, "http://127.0.0.1:9/x.mp4", "concat:a|b"])
def test_a_file_that_is_none_is_refused_and_no_socket_opened(kind, name, odd):
    assert "can't be read as one" in refused(f"{name}={odd}", kind=kind)


@pytest.mark.parametrize(
    ("kind", "name"), [("WanVideoToVideoPipeline", "video"), ("FluxImg2ImgPipeline", "image")], ids=["video", "image"]
)
@pytest.mark.parametrize("content", [b"", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", b"\x89PNG\r\n\x1a\n\0\0"])
def test_a_file_that_holds_none_is_refused(kind, name, content, tmp_path):
    (tmp_path / "odd.mp4").write_bytes(content)
    assert "can't be read as one" in refused(f"{name}={tmp_path / 'odd.mp4'}", kind=kind)


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert "can't be read as one" in refused(f"image={tmp_path / 'pipe'}", kind="FluxImg2ImgPipeline")


def test_a_picture_s_size_is_bounded(tmp_path):
    Image.new("1", (20_000, 1)).save(tmp_path / "wide.png")
    assert "sides go up to 16384" in refused(f"image={tmp_path / 'wide.png'}", kind="FluxImg2ImgPipeline")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("tiny") / "wan"
    tiny_pipeline("wan").save_pretrained(folder)
    return f"diffusers:path={folder}"


def sentence(*words: object) -> str:
    status, out, errors = run_command(*words)
    assert status == 2
    assert "Traceback" not in out + errors
    (line,) = [line for line in errors.splitlines() if line.startswith(("cachekit: ", "Error: "))]
    return line


@pytest.mark.parametrize(
    "command",
    [
        ("plan", "none"),
        ("run", "--strategy", "none", "--out", "never"),
        ("compare", "--strategy", "none", "--report", "never"),
        ("calibrate", "magcache", "--out", "never.json"),
        ("tune", "uniform", "--min-speedup", "1.1", "--folder", "never"),
        ("bench", "--loops", "0"),
    ],
    ids=lambda command: command[0],
)
def test_every_command_refuses_before_anything_is_made(model, command, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for word in ("guidance_scale_2=nan", "max_sequence_length=99999999999", "self=3", ""):
        sentence(*command, "--model", model, "--pipeline-arg", word)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("fps", ["nan", "inf", "0", "-1", "1e30", "0.0001", HUGE, "none"])
@pytest.mark.parametrize("name", ["diffusers", "opensora"])
def test_frames_a_second_are_what_a_file_can_say(model, name, fps):
    spec = model if name == "diffusers" else name
    assert "fps" in sentence("plan", "none", "--model", f"{spec}:fps={fps}")


@pytest.mark.skipif(memory_bytes() is None, reason="this system does not say how much memory it has")
def test_a_video_larger_than_the_memory_is_refused_before_it_is_begun(model, tmp_path):
    words = ("height=16384", "width=16384", "num_frames=10000")
    sized = [f"--pipeline-arg={word}" for word in words]
    said = sentence("run", "--model", model, *sized, "--strategy", "none", "--out", tmp_path / "out")
    assert "ask for fewer or smaller ones" in said


@pytest.mark.parametrize("frames", [0, 99_999_999_999])
def test_opensora_s_frames_are_bounded(frames):
    assert "num_frames goes from 1 to 10000" in sentence("plan", "none", "--model", f"opensora:num_frames={frames}")


@pytest.mark.parametrize("score", ["nan", "inf"])
def test_a_model_s_option_that_no_file_can_record_is_refused(score):
    assert "aesthetic_score" in sentence("plan", "none", "--model", f"opensora:aesthetic_score={score}")


def test_a_folder_s_name_that_no_file_can_have_is_one_sentence():
    assert "there is no folder" in sentence("plan", "none", "--model", f"diffusers:path={'x' * 5000}")
