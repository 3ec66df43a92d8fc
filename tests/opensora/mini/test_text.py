"""Which words of a prompt belong together."""

import torch

from cachekit.opensora.mini.text import TextConfig, TextEncoder, phrases, split_words, tokenize


def phrases_and_roles(prompt):
    words = split_words(prompt)
    numbers = torch.tensor([tokenize(prompt, 24)])
    phrase, role = phrases(numbers)
    return dict(zip(words, phrase[0].tolist(), strict=True)), dict(zip(words, role[0].tolist(), strict=True))


def test_a_phrase_begins_at_and_or_over_and_has_a_role():
    phrase, role = phrases_and_roles("a red circle moves left over the sea and an white triangle spins")
    assert phrase["red"] == phrase["circle"] == phrase["left"] != phrase["sea"]
    assert phrase["white"] == phrase["triangle"] == phrase["spins"] != phrase["red"]
    assert (role["red"], role["sea"], role["white"]) == (1, 0, 2)


def test_the_background_may_come_last():
    _, role = phrases_and_roles("a red circle moves left and an white triangle spins over the sea")
    assert (role["red"], role["white"], role["sea"]) == (1, 2, 0)


def test_a_phrases_embedding_does_not_hang_on_the_words_of_another_phrase():
    torch.manual_seed(0)
    encoder = TextEncoder(TextConfig()).eval()
    one, other = encoder.tokens(
        [f"a red circle moves left over the sea and a {other} spins" for other in ("white triangle", "green square")]
    )
    first, second = encoder(torch.stack([one, other]))[0][:, 0]
    assert torch.allclose(first[:8], second[:8], atol=1e-6)
    assert not torch.allclose(first[8:13], second[8:13], atol=1e-2)
