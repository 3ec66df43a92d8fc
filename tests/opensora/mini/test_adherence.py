"""How a video is judged by its prompt."""

from cachekit.opensora.mini import scenes
from cachekit.opensora.mini.adherence import Verdict, judge, shares_of
from cachekit.opensora.mini.sight import Seen, SeenObject

SCENE = scenes.Scene(
    (scenes.Sprite("red", "circle", "moves left"), scenes.Sprite("white", "triangle", "spins")), "the sea"
)
RED, WHITE = SeenObject("circle", "moves left"), SeenObject("triangle", "spins")


def test_what_the_prompt_says_is_right_in_all():
    assert judge(SCENE, Seen("the sea", {"red": RED, "white": WHITE}, 0)) == Verdict(True, True, True, True, True)


def test_shapes_and_motions_that_went_to_the_other_object_are_wrong():
    assert judge(SCENE, Seen("the sea", {"red": WHITE, "white": RED}, 0)) == Verdict(True, False, False, True, True)


def test_an_object_that_is_not_there_has_neither_its_colour_nor_shape_nor_motion():
    assert judge(SCENE, Seen("the sea", {"red": RED}, 0)) == Verdict(False, False, False, True, True)


def test_another_background_and_a_third_object_are_each_counted():
    assert judge(SCENE, Seen("a desert", {"red": RED, "white": WHITE}, 1)) == Verdict(True, True, True, False, False)


def test_shares_are_of_all_videos():
    right, wrong = Verdict(True, True, True, True, True), Verdict(True, False, False, True, True)
    assert shares_of([right, wrong]) == {
        "colour": 1.0,
        "shape": 0.5,
        "motion": 0.5,
        "background": 1.0,
        "nothing_else": 1.0,
    }
