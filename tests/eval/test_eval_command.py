"""`cachekit eval`: its output and exit status, as a user and a script see them."""

import csv
import json
import shutil

import pytest


@pytest.fixture
def evaluate(folders, cachekit):
    """Runs `cachekit eval` on the folders, with PSNR and SSIM."""

    def run(*arguments):
        return cachekit("eval", "--gt", folders[0], "--gen", folders[1], "--metrics", "psnr,ssim", *arguments)

    return run


def no_constant(name):
    raise AssertionError(f"{name} in the JSON")


def test_the_table_has_the_means_and_the_worst_videos(evaluate):
    status, out, err = evaluate()
    assert status == 0
    assert "3 of 3" in out
    assert out.count(" ± ") == 2
    assert "worst videos" in out
    assert "[3/3] compared:" in err


def test_json_holds_everything(evaluate, folders, tmp_path):
    status, _, _ = evaluate("--json", tmp_path / "result.json", "--per-frame")
    result = json.loads((tmp_path / "result.json").read_text(), parse_constant=no_constant)
    assert status == 0
    assert {"python", "numpy", "opencv", "av", "cachekit-dit"} <= result["versions"].keys()
    assert "11-tap Gaussian window" in result["protocol"]["metrics"]["ssim"]["protocol"]
    (folder,) = result["folders"]
    assert folder["complete"]
    assert folder["metrics"]["psnr"]["worst"] == "c"
    assert folder["metrics"]["psnr"]["mean"] == pytest.approx(
        sum(video["metrics"]["psnr"] for video in folder["videos"]) / 3
    )
    assert [len(video["per_frame"]["ssim"]) for video in folder["videos"]] == [5, 5, 5]


def test_json_on_standard_output_is_alone_there(evaluate):
    status, out, _ = evaluate("--json", "-")
    assert status == 0
    assert json.loads(out)["folders"][0]["compared"] == 3


def test_csv_has_a_line_a_video(evaluate, folders, tmp_path):
    (folders[1] / "b.mkv").write_bytes(b"")
    evaluate("--csv", tmp_path / "result.csv")
    with (tmp_path / "result.csv").open(newline="") as file:
        lines = {line["name"]: line for line in csv.DictReader(file)}
    assert list(lines) == ["a", "c", "b"]
    assert float(lines["a"]["psnr"]) > float(lines["c"]["psnr"])
    assert lines["b"]["psnr"] == ""
    assert "is empty (0 bytes)" in lines["b"]["error"]


def test_a_bad_pair_exits_with_1_and_no_mean_passes_for_the_whole(evaluate, folders, tmp_path):
    shutil.copy(__file__, folders[1] / "b.mkv")
    status, out, _ = evaluate("--json", tmp_path / "result.json")
    (folder,) = json.loads((tmp_path / "result.json").read_text(), parse_constant=no_constant)["folders"]
    assert status == 1
    assert "2 of 3" in out
    assert " ± " not in out
    assert "1 of 3 pairs failed, so it has no mean" in out
    assert "over the other 2 only: PSNR" in out
    assert folder["metrics"]["psnr"]["mean"] is None
    assert [failure["name"] for failure in folder["failures"]] == ["b"]


def test_a_pattern_gives_a_row_for_each_folder_but_gt(folders, cachekit, tmp_path):
    shutil.copytree(folders[1], tmp_path / "runs" / "magcache")
    shutil.copytree(folders[1], tmp_path / "runs" / "teacache")
    shutil.copytree(folders[0], tmp_path / "runs" / "none")
    (tmp_path / "runs" / "readme.txt").touch()
    gt = tmp_path / "runs" / "none"
    status, out, _ = cachekit("eval", "--gt", gt, "--gen", tmp_path / "runs" / "*", "--metrics", "psnr", "--json", "-")
    result = json.loads(out)
    assert status == 0
    assert [folder["gen"].rsplit("/")[-1] for folder in result["folders"]] == ["magcache", "teacache"]
    assert "itself matches" in result["notes"][0]


def test_speedups_from_the_manifests_are_in_the_row(evaluate, folders):
    for folder, seconds, pattern in ((folders[0], 6.0, "XXXX"), (folders[1], 2.5, "XX..")):
        lines = [{"file": f"{n}.mkv", "pattern": pattern, "seconds": {"denoising": seconds}} for n in "abc"]
        (folder / "manifest.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert "2.40x (2.00x)" in evaluate()[1]


def test_names_that_would_break_the_output_are_escaped(tmp_path, clip, write_video, cachekit):
    name = 'two\nlines [bold]\x1b[31m, "quotes"'
    for folder in ("gt", "gen"):
        write_video(tmp_path / "plain.mkv", clip(2))
        (tmp_path / folder).mkdir()
        (tmp_path / "plain.mkv").rename(tmp_path / folder / f"{name}.mkv")
    arguments = ("eval", "--gt", tmp_path / "gt", "--gen", tmp_path / "gen", "--metrics", "psnr")
    status, out, _ = cachekit(*arguments)
    assert status == 0
    assert "\x1b[31m" not in out
    assert r"two\nlines [bold]\x1b[31m" in out
    assert json.loads(cachekit(*arguments, "--json", "-")[1])["folders"][0]["videos"][0]["name"] == name


def test_a_name_that_is_no_text_is_written_escaped(tmp_path, clip, write_video, cachekit):
    for folder in ("gt", "gen"):
        write_video(tmp_path / "plain.mkv", clip(2))
        (tmp_path / folder).mkdir()
        (tmp_path / "plain.mkv").rename(tmp_path / folder / "bad\udcff.mkv")
    status, _, _ = cachekit(
        "eval", "--gt", tmp_path / "gt", "--gen", tmp_path / "gen", "--metrics", "psnr",
        "--json", tmp_path / "r.json", "--csv", tmp_path / "r.csv",
    )  # fmt: skip
    assert status == 0
    assert json.loads((tmp_path / "r.json").read_text())["folders"][0]["videos"][0]["name"] == r"bad\udcff"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--gen", "missing-*"], "no folder matches"),
        (["--gen", "missing"], "does not exist"),
        (["--metrics", "vmav"], "no metric named 'vmav'"),
        (["--plot", "plot.bmp"], "name such a file"),
        (["--lpips-device", "gpu"], "lpips-device"),
        (["--metrics", "psnr:size=3"], "no parameter of psnr named 'size'"),
        (["--metrics", "psnr,psnr"], "'psnr' is asked for twice"),
        (["--json", "missing/result.json"], "can't be written"),
        (["--csv", "missing/result.csv"], "can't be written"),
        (["--threads", "0"], "threads"),
        (["another-folder"], "name each folder with --gen, or quote a pattern"),
        (["--lpips-weights", "file.pth"], "the metric lpips is not asked for"),
    ],
)
def test_a_wrong_request_exits_with_2_and_a_sentence(evaluate, arguments, message):
    status, out, err = evaluate(*arguments)
    assert status == 2
    assert out == ""
    assert message in err
    assert "Traceback" not in err
