"""Which videos are compared: by name, checked before anything is decoded, with manifests where there are any."""

import json
import re
import unicodedata

import cachekit_eval
import pytest
from cachekit_eval.reading import Reader

from cachekit.errors import CachekitError


def evaluate(folders, **options):
    return cachekit_eval.evaluate(*folders, ["psnr"], **options)


def write_manifest(folder, seconds, pattern, **fields):
    lines = [
        {"file": f"{name}.mkv", "prompt": f"a {name}", "seed": 4, "pattern": pattern, "steps": len(pattern)}
        | {"seconds": {"text": 9, "denoising": seconds * (index + 1), "decoding": 9}}
        | fields
        for index, name in enumerate("abc")
    ]
    (folder / "manifest.jsonl").write_text("\n".join(json.dumps(line) for line in lines) + "\n")


def test_videos_pair_by_stem_whatever_their_formats(tmp_path, clip, write_video, write_frames):
    write_video(tmp_path / "gt" / "a.mkv", clip(3))
    write_frames(tmp_path / "gen" / "a", clip(3))
    assert evaluate((tmp_path / "gt", tmp_path / "gen"))["psnr"].mean == 100


def test_names_pair_across_unicode_forms(tmp_path, clip, write_video):
    for folder, form in (("gt", "NFC"), ("gen", "NFD")):
        write_video(tmp_path / folder / (unicodedata.normalize(form, "café-0") + ".mkv"), clip(2))
    assert evaluate((tmp_path / "gt", tmp_path / "gen"))["psnr"].mean == 100


def test_the_papers_scripts_folders_need_no_manifest(tmp_path, clip, write_video):
    for prompt in ("A cat, walking. Slowly", "a dog"):
        for seed in range(2):
            for folder, error in (("original", 0), ("magcache", 10)):
                path = tmp_path / folder / f"{prompt}-{seed}.mp4"
                write_video(path, clip(seed=seed, error=error), "libx264", "yuv420p")
    result = evaluate((tmp_path / "original", tmp_path / "magcache"))
    assert [video.name for video in result.videos] == [
        "A cat, walking. Slowly-0", "A cat, walking. Slowly-1", "a dog-0", "a dog-1",
    ]  # fmt: skip
    assert result.speedup is None


@pytest.mark.parametrize("lacking", [0, 1])
def test_a_video_without_its_counterpart_is_refused_before_anything_is_decoded(folders, lacking, monkeypatch):
    (folders[lacking] / "b.mkv").unlink()

    def decoded(self):
        raise AssertionError("a video was opened")

    monkeypatch.setattr(Reader, "frames", decoded)
    there, here = folders[lacking], folders[1 - lacking]
    with pytest.raises(CachekitError, match=re.escape(f"'b.mkv' of '{here}' has no counterpart in '{there}'")):
        evaluate(folders)


def test_two_files_of_one_stem_are_refused(folders, clip, write_video):
    write_video(folders[1] / "a.avi", clip(), "mpeg4", "yuv420p")
    with pytest.raises(CachekitError, match=r"'a\.avi' and 'a\.mkv' in .* have one stem"):
        evaluate(folders)


def test_a_missing_folder_is_refused(folders, tmp_path):
    with pytest.raises(CachekitError, match="does not exist"):
        evaluate((folders[0], tmp_path / "missing"))


def test_an_empty_folder_is_refused(folders, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CachekitError, match="there are no videos in the folder"):
        evaluate((tmp_path / "empty", folders[1]))


def test_a_folder_that_is_itself_a_video_of_frames_is_explained(folders, tmp_path, clip, write_frames):
    with pytest.raises(CachekitError, match="name the folder that it is in"):
        evaluate((write_frames(tmp_path / "frames", clip(2)), folders[1]))


def test_other_files_are_passed_over_and_said_and_hidden_ones_are_not(folders):
    (folders[1] / "notes.txt").write_text("mine")
    (folders[1] / ".a.mkv.part").write_text("half a video")
    assert evaluate(folders).notes == (f"passed over in '{folders[1]}', being no videos: notes.txt",)


def test_manifests_give_prompt_seed_strategy_pattern_and_speedup(folders):
    write_manifest(folders[0], 6.0, "XXXX", strategy="none")
    write_manifest(folders[1], 2.0, "XX..", strategy="magcache", predictor="reuse", params={"K": 2})
    result = evaluate(folders)
    assert (result.strategy, result.predictor, result.pattern) == ("magcache", "reuse", "XX..")
    assert result.speedup == pytest.approx(3)
    assert result.ideal_speedup == 2
    assert [(video.made.prompt, video.made.seed) for video in result.videos] == [("a a", 4), ("a b", 4), ("a c", 4)]


def test_a_pattern_is_the_folders_only_where_all_videos_have_it(folders):
    write_manifest(folders[1], 1.0, "XX..")
    lines = (folders[1] / "manifest.jsonl").read_text().splitlines()
    (folders[1] / "manifest.jsonl").write_text("\n".join([lines[0].replace("XX..", "XXXX"), *lines[1:]]))
    result = evaluate(folders)
    assert result.pattern is None
    assert result.ideal_speedup == 12 / 8


def test_manifest_lines_that_cannot_be_read_are_noted_and_passed_over(folders):
    write_manifest(folders[1], 1.0, "XX..")
    with (folders[1] / "manifest.jsonl").open("ab") as file:
        file.write(b'{"file": "a.m\n\n[1]\n{"prompt": "no file"}\n{"file": "d.mkv", "seconds": 3, "seed": "x"}\n\xff\n')
    result = evaluate(folders)
    assert result.pattern == "XX.."
    assert "line 4, 6, 7, 9 is no entry" in result.notes[0]


def test_videos_made_with_other_settings_than_gt_are_said(folders):
    write_manifest(folders[0], 1.0, "XXXX", seed=4)
    write_manifest(folders[1], 1.0, "XX", seed=5)
    assert evaluate(folders).videos[0].notes == ("seed differs: 4 in gt, 5 in gen", "steps differs: 4 in gt, 2 in gen")
