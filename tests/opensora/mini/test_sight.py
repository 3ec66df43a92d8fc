"""Shape, motion and background from pixels, held to rendered clips, whose sentence is known."""

import itertools

import pytest
import torch

from cachekit.opensora.mini import scenes
from cachekit.opensora.mini.sight import Seen, SeenObject, look


def rendered(scene: scenes.Scene, seed: int) -> torch.Tensor:
    clip, _ = scenes.render(scene, seed)
    return ((clip + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 3, 0)


def wanted(scene: scenes.Scene) -> Seen:
    return Seen(
        scene.background, {sprite.colour: SeenObject(sprite.shape, sprite.motion) for sprite in scene.sprites}, 0
    )


def single(colour="red", shape="square", motion="moves left", background="the sea"):
    return scenes.Scene((scenes.Sprite(colour, shape, motion),), background)


@pytest.mark.parametrize("sprites", [1, 2])
def test_nearly_all_rendered_clips_are_seen_as_their_sentence_says(sprites):
    drawn = itertools.islice(scenes.draw_scenes(11, held_out=True, sprites=sprites), 40)
    right = [
        look(rendered(scene, seed), [sprite.colour for sprite in scene.sprites]) == wanted(scene)
        for seed, scene in enumerate(drawn)
    ]
    assert sum(right) >= 39


@pytest.mark.parametrize("background", scenes.BACKGROUNDS)
@pytest.mark.parametrize("colour", scenes.COLOURS)
def test_every_colour_is_seen_over_every_background(colour, background):
    scene = single(colour, "triangle", "spins", background)
    assert look(rendered(scene, 0), [colour]) == wanted(scene)


def test_a_colour_that_is_not_there_is_not_seen_and_the_object_that_is_counts_as_another():
    seen = look(rendered(single("red"), 0), ["blue"])
    assert seen.objects == {}
    assert seen.others == 1


def test_two_objects_whose_shapes_and_motions_are_exchanged_are_seen_as_they_are():
    one, other = scenes.Sprite("red", "circle", "moves left"), scenes.Sprite("white", "triangle", "spins")
    exchanged = scenes.Scene((attach("red", other), attach("white", one)), "a desert")
    seen = look(rendered(exchanged, 1), ["red", "white"])
    assert seen.objects["red"] == SeenObject("triangle", "spins")
    assert seen.objects["white"] == SeenObject("circle", "moves left")


def attach(colour: str, sprite: scenes.Sprite) -> scenes.Sprite:
    return scenes.Sprite(colour, sprite.shape, sprite.motion)


def test_a_video_that_stands_still_has_no_motion():
    frames = rendered(single(motion="spins"), 0)
    assert look(frames[:1].expand_as(frames), ["red"]).objects["red"] == SeenObject("square", None)


def test_a_lump_has_no_shape():
    frames = rendered(single("white", "square", "moves left", "a night sky"), 0).clone()
    frames[:, 28:36, 4:60] = 247
    assert look(frames, ["white"]).objects["white"].shape is None


def test_a_background_that_is_none_of_the_worlds_is_not_taken_for_one():
    assert look(torch.full((17, 64, 64, 3), 255, dtype=torch.uint8), ["red"]) == Seen(None, {}, 0)


def test_a_third_object_is_counted():
    two = scenes.Scene(
        (scenes.Sprite("red", "circle", "moves left"), scenes.Sprite("white", "circle", "moves left")), "the sea"
    )
    assert look(rendered(two, 0), ["red"]).others == 1
