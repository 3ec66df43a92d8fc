"""The embedded model's world: sentences, clips, words, and how adherence is judged."""

import itertools

import pytest
import torch

import cachekit
from cachekit.opensora.mini import scenes
from cachekit.opensora.mini.adherence import look
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


@pytest.mark.parametrize("colour", scenes.COLOURS)
@pytest.mark.parametrize("direction", scenes.DIRECTIONS)
def test_the_judge_sees_what_a_rendered_clip_shows(colour, direction):
    for number, background in enumerate(scenes.BACKGROUNDS):
        clip, _ = scenes.render(scene(colour, "square", f"moves {direction}", background), seed=number)
        frames = ((clip + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 3, 0)
        assert look(frames, background) == (look(frames, background).__class__)(colour, direction)


def test_the_judge_sees_no_direction_in_a_clip_that_stands_still():
    clip, _ = scenes.render(scene("white", "triangle", "spins"), seed=0)
    frames = ((clip + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 3, 0)
    assert look(frames, "the sea").direction is None
    assert look(frames[:, :, :, :] * 0 + frames[:1], "the sea").direction is None


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
