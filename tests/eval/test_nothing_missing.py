"""Nothing is missing in silence: hidden names, videos without counterpart, folders without videos, manifests' rows."""

import json
import re
import shutil

import cachekit_eval
import pytest

from cachekit.errors import CachekitError


def evaluate(folders, **options):
    return cachekit_eval.evaluate(*folders, ["psnr"], **options)


def test_a_video_whose_name_begins_with_a_dot_is_compared(folders):
    for folder in folders:
        (folder / "b.mkv").rename(folder / ".5 seconds of rain-0.mkv")
    assert [video.name for video in evaluate(folders).videos] == [".5 seconds of rain-0", "a", "c"]


def test_a_video_whose_name_begins_with_a_dot_and_has_no_counterpart_is_refused(folders):
    shutil.copy(folders[1] / "b.mkv", folders[1] / ".hidden.mkv")
    with pytest.raises(CachekitError, match=re.escape("'.hidden.mkv'")):
        evaluate(folders)


def test_what_macos_leaves_beside_a_file_is_passed_over_and_said(folders):
    (folders[1] / "._a.mkv").write_bytes(b"\0\5\26\7\0\2\0\0Mac OS X")
    result = evaluate(folders)
    assert len(result.videos) == 3
    assert "._a.mkv" in result.notes[0]


def test_a_hidden_folder_of_frames_is_a_video_where_both_sides_have_it(folders, write_frames, clip):
    write_frames(folders[0] / ".v", clip(3))
    assert "'.v'" in evaluate(folders).notes[0]
    write_frames(folders[1] / ".v", clip(3))
    assert ".v" in [video.name for video in evaluate(folders).videos]


def test_gt_larger_than_gen_is_refused_with_the_way_to_allow_it(folders):
    (folders[1] / "b.mkv").unlink()
    with pytest.raises(CachekitError, match=r"'b\.mkv' .* has no counterpart .*--subset"):
        evaluate(folders)


def test_a_subset_is_compared_and_what_is_left_out_is_said(folders):
    (folders[1] / "b.mkv").unlink()
    result = evaluate(folders, subset=True)
    assert [video.name for video in result.videos] == ["a", "c"]
    assert result["psnr"].mean is not None
    assert result.left_out == ("b",)
    assert "1 of the 3 videos" in result.notes[0] and "'b.mkv'" in result.notes[0]


def test_a_subset_allows_gt_to_be_larger_and_not_gen(folders):
    (folders[0] / "b.mkv").unlink()
    with pytest.raises(CachekitError, match=r"'b\.mkv' .* has no counterpart") as error:
        evaluate(folders, subset=True)
    assert "--subset" not in str(error.value)


def test_a_subset_of_nothing_is_refused(folders):
    for name in "abc":
        (folders[1] / f"{name}.mkv").rename(folders[1] / f"other-{name}.mkv")
    with pytest.raises(CachekitError):
        evaluate(folders, subset=True)


def test_the_command_allows_a_subset(folders, cachekit):
    (folders[1] / "b.mkv").unlink()
    status, out, _ = cachekit("eval", "--gt", folders[0], "--gen", folders[1], "--metrics", "psnr", "--subset")
    assert status == 0
    assert "2 of 2" in out
    assert "b.mkv" in out


def test_manifest_rows_whose_video_is_missing_are_said(folders):
    rows = [{"file": f"{name}.mkv", "prompt": name} for name in "abxy"]
    (folders[1] / "manifest.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (note,) = evaluate(folders).notes
    assert "names 'x.mkv', 'y.mkv', which the folder does not hold" in note


def test_a_folder_of_a_pattern_without_videos_is_named_and_the_others_go_on(folders, cachekit, tmp_path):
    shutil.copytree(folders[1], tmp_path / "runs" / "magcache")
    (tmp_path / "runs" / "teacache").mkdir()
    (tmp_path / "runs" / "teacache" / "log.txt").write_text("killed")
    status, out, _ = cachekit(
        "eval", "--gt", folders[0], "--gen", tmp_path / "runs" / "*", "--metrics", "psnr", "--json", "-"
    )
    result = json.loads(out)
    assert status == 0
    assert [folder["gen"].rsplit("/")[-1] for folder in result["folders"]] == ["magcache"]
    assert "holding no videos" in result["notes"][0] and "teacache" in result["notes"][0]


def test_a_pattern_of_folders_without_videos_alone_is_refused(folders, cachekit, tmp_path):
    (tmp_path / "runs" / "empty").mkdir(parents=True)
    status, _, err = cachekit("eval", "--gt", folders[0], "--gen", tmp_path / "runs" / "*", "--metrics", "psnr")
    assert status == 2
    assert "no folder with videos" in err
