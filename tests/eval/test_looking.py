"""What there is to look at: curves and worst frames, and videos side by side."""

import json
import re

import numpy as np
import pytest
from cachekit_eval.reading import Reader


@pytest.fixture
def evaluate(folders, cachekit):
    def run(*arguments):
        return cachekit("eval", "--gt", folders[0], "--gen", folders[1], "--metrics", "psnr,flicker", *arguments)

    return run


def test_a_page_has_the_curves_and_the_worst_frames(evaluate, tmp_path):
    pytest.importorskip("plotly")
    assert evaluate("--plot", tmp_path / "p.html")[0] == 0
    page = (tmp_path / "p.html").read_text(encoding="utf-8").replace("\\u002f", "/")
    assert "<script" in page and not re.search(r'<(script|link)[^>]+(src|href)="http', page)
    assert all(f'"name":"gen/{name}"' in page for name in "abc")
    assert page.count('"type":"image"') == 3
    assert "worst frame: PSNR" in page and "gen/c, frame" in page


@pytest.mark.parametrize(("name", "start"), [("p.png", b"\x89PNG"), ("p.SVG", b"<?xml"), ("p.pdf", b"%PDF")])
def test_a_picture_has_them_too(evaluate, tmp_path, name, start):
    pytest.importorskip("matplotlib")
    assert evaluate("--plot", tmp_path / name)[0] == 0
    data = (tmp_path / name).read_bytes()
    assert data.startswith(start)
    if name.endswith("SVG"):
        assert data.count(b"<image") == 3


def test_many_videos_are_drawn_as_their_mean_and_the_worst(tmp_path, clip, write_video):
    import cachekit_eval
    from cachekit_eval.plots import MOST_CURVES, curves

    for seed in range(MOST_CURVES + 1):
        write_video(tmp_path / "gt" / f"{seed}.mkv", clip(seed=seed))
        write_video(tmp_path / "gen" / f"{seed}.mkv", clip(seed=seed, error=1.0 + seed))
    result = cachekit_eval.evaluate(tmp_path / "gt", tmp_path / "gen", ["psnr"], per_frame=True)
    mean, worst = curves([result], result.metrics[0])
    frames = np.asarray([video.per_frame["psnr"] for video in result.videos])
    assert mean.values == pytest.approx(frames.mean(axis=0))
    assert worst.values == pytest.approx(frames[-1])
    assert worst.label == f"worst: gen/{MOST_CURVES}"


def test_names_that_would_break_a_plot_do_not(tmp_path, clip, write_video, cachekit):
    pytest.importorskip("plotly")
    pytest.importorskip("matplotlib")
    name = "_$x^{ <script>alert(1)</script> & $"
    for side, error in (("gt", 0), ("gen", 9)):
        write_video(tmp_path / "plain.mkv", clip(3, error=error))
        (tmp_path / side).mkdir()
        (tmp_path / "plain.mkv").rename(tmp_path / side / f"{name.replace('/', '')}.mkv")
    arguments = ("eval", "--gt", tmp_path / "gt", "--gen", tmp_path / "gen", "--metrics", "psnr")
    assert cachekit(*arguments, "--plot", tmp_path / "p.html")[0] == 0
    assert cachekit(*arguments, "--plot", tmp_path / "p.png")[0] == 0
    assert "<script>alert" not in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_the_plot_of_kept_figures_is_the_same_picture(evaluate, tmp_path):
    pytest.importorskip("plotly")
    evaluate("--plot", tmp_path / "p.html", "--json", tmp_path / "r.json")
    assert "kept" in evaluate("--plot", tmp_path / "q.html", "--json", tmp_path / "r.json")[2]
    assert json.loads((tmp_path / "r.json").read_text())["folders"][0]["compared"] == 3
    data = [
        re.findall(r'"y":(\[[^]]*\]|\{[^}]*\})', (tmp_path / f).read_text(encoding="utf-8"))
        for f in ("p.html", "q.html")
    ]
    assert data[0] == data[1] != []


def test_a_plot_of_a_library_that_is_missing_says_how_to_get_it(evaluate, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    status, _, err = evaluate("--plot", tmp_path / "p.html")
    assert status == 2
    assert "needs plotly; install it with `pip install 'cachekit-dit[plots]'`" in err


def test_side_by_side_are_gt_gen_and_their_difference(evaluate, folders, tmp_path):
    assert evaluate("--side-by-side", tmp_path / "look")[0] == 0
    assert sorted(path.name for path in (tmp_path / "look").iterdir()) == ["a.mp4", "b.mp4", "c.mp4"]
    reader = Reader(tmp_path / "look" / "c.mp4")
    shown = np.asarray(list(reader.frames()), float)
    gt, gen = (np.asarray(list(Reader(folder / "c.mkv").frames()), float) for folder in folders)
    expected = np.concatenate([gt, gen, np.clip(4 * np.abs(gen - gt), 0, 255)], axis=2)
    assert shown.shape == (5, 48, 192, 3)
    assert np.abs(shown - expected)[:, :, :128].mean() < 10
    assert np.abs(shown.mean(axis=3) - expected.mean(axis=3)).mean() < 8
    assert reader.fps == 24


def test_side_by_side_of_odd_sizes_and_names(tmp_path, clip, write_video, cachekit):
    name = "日本の庭 🌸: \n" + "x" * 180
    for side, error in (("gt", 0), ("gen", 9)):
        write_video(tmp_path / "plain.mkv", clip(3, 33, 47, error=error))
        (tmp_path / side).mkdir()
        (tmp_path / "plain.mkv").rename(tmp_path / side / f"{name}.mkv")
    arguments = ("eval", "--gt", tmp_path / "gt", "--gen", tmp_path / "gen", "--metrics", "psnr")
    assert cachekit(*arguments, "--side-by-side", tmp_path / "look")[0] == 0
    (made,) = (tmp_path / "look").iterdir()
    assert next(Reader(made).frames()).shape == (34, 142, 3)


def test_side_by_side_of_several_folders_are_apart(folders, cachekit, tmp_path):
    arguments = ("eval", "--gt", folders[0], "--gen", folders[1], "--gen", folders[0], "--metrics", "psnr")
    assert cachekit(*arguments, "--side-by-side", tmp_path / "look")[0] == 0
    assert sorted(path.name for path in (tmp_path / "look").iterdir()) == ["00-gen", "01-gt"]


def test_side_by_side_never_goes_into_a_folder_compared(evaluate, folders):
    before = {path.name: path.read_bytes() for path in folders[1].iterdir()}
    status, _, err = evaluate("--side-by-side", folders[1])
    assert (status, "is one of the folders to be compared" in err) == (2, True)
    assert {path.name: path.read_bytes() for path in folders[1].iterdir()} == before
