"""Folders of frames pair by the numbers in the frames' names, and a lost frame shifts nothing."""

import cachekit_eval
import cv2
import pytest


@pytest.fixture
def write(tmp_path, clip):
    """Frames of a moving texture to a folder, each at its number, by a pattern for the names."""

    def make(side, numbers, name="frame_{:04d}.png", first=0):
        folder = tmp_path / side / "a"
        folder.mkdir(parents=True)
        frames = clip(12)
        for number in numbers:
            cv2.imwrite(str(folder / name.format(number)), frames[number - first][..., ::-1])
        return folder.parent

    return make


def evaluate(gt, gen, **options):
    return cachekit_eval.evaluate(gt, gen, ["psnr"], per_frame=True, **options)


def test_a_lost_frame_is_named_and_shifts_no_other(write):
    gt, gen = write("gt", range(10)), write("gen", [0, 1, 2, 3, 5, 6, 7, 8, 9])
    (failure,) = evaluate(gt, gen).failures
    assert f"'{gen}/a' has no frame 4, which '{gt}/a' has" in failure.reason
    result = evaluate(gt, gen, common_frames=True)
    assert set(result.videos[0].per_frame["psnr"]) == {100}
    assert result.videos[0].frames == 9
    assert "only the 9 frames that both have were compared" in result.videos[0].notes[0]


def test_a_frame_lost_on_each_side_is_not_made_up_for_by_the_other(write):
    gt, gen = write("gt", [0, 1, 3, 4, 5]), write("gen", [0, 1, 2, 3, 5])
    assert "has no frame" in evaluate(gt, gen).failures[0].reason
    assert evaluate(gt, gen, common_frames=True)["psnr"].mean == 100


@pytest.mark.parametrize(("starts", "offset"), [((0, 1), "+1"), ((1, 0), "-1")])
def test_numbers_from_0_pair_with_numbers_from_1_and_that_is_said(write, starts, offset):
    folders = [
        write(side, range(start, start + 8), first=start) for side, start in zip(("gt", "gen"), starts, strict=True)
    ]
    result = evaluate(*folders)
    assert result["psnr"].mean == 100
    assert result.videos[0].notes == (f"frames paired by number: gen's is gt's {offset}",)


def test_a_frame_lost_behind_an_offset_is_named(write):
    gt, gen = write("gt", range(8)), write("gen", [1, 2, 3, 5, 6, 7, 8], first=1)
    assert "has no frame 4" in evaluate(gt, gen).failures[0].reason


def test_the_same_frame_lost_on_both_sides_is_no_loss_between_them(write):
    assert evaluate(write("gt", [0, 1, 3, 4]), write("gen", [0, 1, 3, 4]))["psnr"].mean == 100


@pytest.mark.parametrize(
    ("gt", "gen"),
    [
        ("frame_{:04d}.png", "{}.png"),
        ("clip7_frame{}.png", "f{:03d}_of_100.png"),
        ("2024-05-06 shot {:02d}.png", "v1.{}.png"),
    ],
)
def test_the_number_is_found_among_other_digits(write, gt, gen):
    result = evaluate(write("gt", [0, 1, 2, 3, 5, 6, 7, 10, 11], gt), write("gen", [0, 1, 2, 3, 5, 6, 7, 10, 11], gen))
    assert (result["psnr"].mean, result.videos[0].notes) == (100, ())


def test_names_without_a_number_in_common_pair_in_their_order_and_that_is_said(write, tmp_path):
    gt, gen = write("gt", range(3)), write("gen", range(3))
    for number, name in enumerate(("one", "three", "two")):
        (gen / "a" / f"frame_{number:04d}.png").rename(gen / "a" / f"{name}.png")
    assert "in the order of the names" in evaluate(gt, gen).videos[0].notes[0]


def test_two_frames_of_one_number_are_refused(write, tmp_path):
    gt, gen = write("gt", range(3)), write("gen", range(3))
    (gen / "a" / "frame_2.png").write_bytes((gen / "a" / "frame_0002.png").read_bytes())
    assert "are both number 2" in evaluate(gt, gen).failures[0].reason


def test_a_gap_in_a_folder_is_named_where_the_other_side_is_a_file(write, write_video, clip, tmp_path):
    gen = write("gen", [0, 1, 2, 4, 5])
    write_video(tmp_path / "gt" / "a.mkv", clip(12)[:5])
    assert "has no frame 3" in evaluate(tmp_path / "gt", gen).failures[0].reason
    result = evaluate(tmp_path / "gt", gen, common_frames=True)
    assert (result["psnr"].mean, result.videos[0].frames) == (100, 3)


def test_a_folder_of_frames_from_any_number_compares_with_a_file(write, write_video, clip, tmp_path):
    write_video(tmp_path / "gt" / "a.mkv", clip(12)[:5])
    assert evaluate(tmp_path / "gt", write("gen", range(1, 6), first=1))["psnr"].mean == 100


def test_one_frame_pairs_with_one_frame(write):
    assert evaluate(write("gt", [0]), write("gen", [1], first=1))["psnr"].mean == 100


def test_hidden_frames_are_passed_over_and_said(write):
    gt, gen = write("gt", range(3)), write("gen", range(3))
    (gen / "a" / "._frame_0001.png").write_bytes(b"\0\5\26\7")
    result = evaluate(gt, gen)
    assert result["psnr"].mean == 100
    assert result.videos[0].notes == ("gen: hidden frames passed over: '._frame_0001.png'",)
