"""Captions are cleaned as the training captions were; the expected texts are what the public code makes of them."""

import pytest

from cachekit.opensora.captions import clean, with_aesthetic_score

pytestmark = pytest.mark.usefixtures("extra")


@pytest.mark.parametrize(
    ("prompt", "caption"),
    [
        ("A Dog  runs\tin the SNOW. ", "a dog runs in the snow."),
        ("a cat http://example.com/cats?x=1 sleeps", "a cat ?x=1 sleeps"),
        ("see www.example.org/a, a lake", "see , a lake"),
        ("<b>bold</b> &amp; <person> waves", "bold person waves"),
        ("\u201ca tree\u201d \u2014 it\u2019s old", '"a tree" - it\'s old'),
        ("a_red-car_on-a_road", "a red car on a road"),
        ("a red-car on a_road", "a red-car on a_road"),
        ("file img_001.png shows jc6640 and 640x480", "file shows and"),
        ("***SALE*** free shipping, click on link page 12", "sale"),
        ("\u6c34\u5899 a wall of water", "a wall of water"),
        ("colou+r %41 100%", "colou r a 100%"),
        ("caf\u00c3\u00a9 at dawn", "caf\u00e3 at dawn"),
        ("at 12.34.56.78 and #12 and #1234", "at and and 1234"),
        ("a dog,running/fast", "a dog, running fast"),
        ("'quoted'", "quoted"),
        ("###", ""),
    ],
)
def test_a_prompt_is_cleaned(prompt, caption):
    assert clean(prompt) == caption


def test_the_aesthetic_score_is_appended_and_survives_cleaning():
    assert clean(with_aesthetic_score("Waves at night", 6.5)) == "waves at night aesthetic score: 6.5."


def test_a_prompt_that_names_its_score_keeps_it():
    prompt = "Waves at night aesthetic score: 4.0."
    assert with_aesthetic_score(prompt, 6.5) == prompt


def test_no_score_is_appended_where_none_is_wanted():
    assert with_aesthetic_score("Waves at night", None) == "Waves at night"
