"""The embedded model's world: sentences, clips and words."""

import itertools
import random

import pytest
import torch

import cachekit
from cachekit.opensora.mini import scenes
from cachekit.opensora.mini.sight import LEAST_TRAVEL
from cachekit.opensora.mini.text import split_words, tokenize, unknown_words


def scene(colour="red", shape="circle", motion="moves left", background="the sea"):
    return scenes.Scene((scenes.Sprite(colour, shape, motion),), background)


def test_a_prompt_reads_as_a_sentence():
    two = scenes.Scene(
        (scenes.Sprite("red", "circle", "moves left"), scenes.Sprite("white", "triangle", "spins")), "a night sky"
    )
    assert two.prompt == "a red circle moves left over a night sky and a white triangle spins"


def test_held_out_sentences_are_a_fifth_and_training_never_draws_one():
    drawn = list(itertools.islice(scenes.draw_scenes(1, held_out=False), 500))
    held = list(itertools.islice(scenes.draw_scenes(1, held_out=True), 500))
    assert not {s.prompt for s in drawn} & {s.prompt for s in held}
    singles = [
        scene(c, s, m, b).held_out
        for c in scenes.COLOURS
        for s in scenes.SHAPES
        for m in scenes.MOTIONS
        for b in scenes.BACKGROUNDS
    ]
    assert 0.12 < sum(singles) / len(singles) < 0.28


def test_the_same_seed_renders_the_same_clip_and_another_another():
    first, again, other = (scenes.render(scene(), seed)[0] for seed in (3, 3, 4))
    assert first.shape == (3, 17, 64, 64)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_two_objects_never_overlap_and_stay_in_the_frame():
    for number, drawn in zip(range(200), scenes.draw_scenes(3, held_out=False, sprites=2), strict=False):
        one, other = scenes.draw_paths(drawn, random.Random(number))
        apart = (one.centre - other.centre).abs().amax(1)
        assert apart.min() > one.radius + other.radius
        for path in (one, other):
            assert path.centre.min() > path.radius
            assert path.centre.max() < scenes.WIDTH - path.radius


def test_the_first_of_two_objects_is_left_of_the_second_or_above_where_both_move_sideways():
    for number, drawn in zip(range(100), scenes.draw_scenes(4, held_out=False, sprites=2), strict=False):
        one, other = scenes.draw_paths(drawn, random.Random(number))
        sideways = all(sprite.direction in ("left", "right") for sprite in drawn.sprites)
        axis = 1 if sideways else 0
        assert (other.centre[:, axis] > one.centre[:, axis]).all()


@pytest.mark.parametrize("motions", list(itertools.product(scenes.MOTIONS, repeat=2)))
def test_each_of_two_objects_travels_as_far_as_is_seen(motions):
    first, second = motions
    drawn = scenes.Scene((scenes.Sprite("red", "square", first), scenes.Sprite("white", "square", second)), "the sea")
    for path, sprite in zip(scenes.draw_paths(drawn, random.Random(0)), drawn.sprites, strict=True):
        travel = float((path.centre[-1] - path.centre[0]).norm())
        assert travel == 0 if sprite.direction is None else travel > 2 * LEAST_TRAVEL


def test_words_are_found_whatever_their_case_and_punctuation():
    assert split_words("A RED circle, moves-left!") == ["a", "red", "circle", "moves", "left"]
    assert tokenize("A RED circle!", 24) == tokenize("a red circle", 24)


def test_unknown_words_are_named_once():
    assert unknown_words("a crimson circle near a crimson sea") == ["crimson", "near"]


@pytest.mark.parametrize("prompt", ["", "ein roter Kreis", "a the over", "赤い円"])
def test_a_prompt_with_no_known_word_is_refused_with_the_words_there_are(prompt):
    with pytest.raises(cachekit.CachekitError, match=r"no word that opensora-mini knows; its words are .*red"):
        tokenize(prompt, 24)


def test_every_sentence_of_the_world_is_of_known_words_and_fits():
    for drawn in itertools.islice(scenes.draw_scenes(5, held_out=False), 300):
        assert unknown_words(drawn.prompt) == []
        assert len(split_words(drawn.prompt)) <= 24
