"""Prompts to embeddings: 300 tokens, padding masked, a published T5 folder read as it is."""

import json

import pytest
import torch

from cachekit import CachekitError
from cachekit.opensora.text import HashTokenizer, TextEncoder


def test_embeddings_have_300_tokens_and_a_mask_of_the_captions(text):
    assert text.caption == "a red balloon over a lake aesthetic score: 6.5."
    assert text.y.shape == (1, 1, 300, 64)
    assert text.mask.shape == (1, 300) and text.mask.sum() == 10
    assert text.mask[0, :10].all()


@torch.no_grad()
def test_padding_does_not_reach_the_captions_tokens(small, text):
    encoder = small.text_encoder
    numbers, mask = encoder.tokens(text.caption)
    alone = encoder.model(input_ids=numbers[:, :10], attention_mask=mask[:, :10]).last_hidden_state
    torch.testing.assert_close(text.y[:, 0, :10], alone, rtol=0, atol=1e-5)


def test_a_caption_too_long_keeps_its_end_token(small):
    numbers, mask = small.text_encoder.tokens("word " * 500)
    assert numbers.shape == mask.shape == (1, 300)
    assert numbers[0, -1] == 1 and mask.all()


def test_the_hash_tokenizer_gives_each_word_one_number_below_its_vocabulary():
    tokenize = HashTokenizer(512)
    first, again = tokenize("a red balloon"), tokenize("a red balloon")
    assert first == again and first[-1] == 1
    assert all(1 < number < 512 for number in first[:-1])
    assert tokenize("red")[0] == first[1]


def test_a_published_folder_is_read_as_it_is(small, text, t5_folder):
    from cachekit.opensora.parts import load_text_model

    model, tokenizer = load_text_model(str(t5_folder), torch.float32)
    for key, value in small.text_encoder.model.state_dict().items():
        assert torch.equal(model.state_dict()[key], value), key
    numbers = tokenizer("a red balloon")
    assert numbers[-1] == 1 and len(numbers) > 2
    embedding = TextEncoder(model, tokenizer).encode("a red balloon", device="cpu")
    assert embedding.mask.sum() == len(tokenizer("a red balloon aesthetic score: 6.5."))


def test_a_folder_of_other_tensors_is_refused_with_each_named(t5_folder, tmp_path):
    from cachekit.opensora.parts import load_text_model

    for file in t5_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    index = tmp_path / "pytorch_model.bin.index.json"
    weight_map = json.loads(index.read_text())["weight_map"]
    missing, misshapen = "encoder.final_layer_norm.weight", "encoder.block.1.layer.0.layer_norm.weight"
    for file in set(weight_map.values()):
        weights = torch.load(tmp_path / file, weights_only=True)
        weights.pop(missing, None)
        if misshapen in weights:
            weights |= {misshapen: torch.zeros(7), "encoder.new": torch.zeros(1), "decoder.old": torch.zeros(1)}
            weight_map |= {"encoder.new": file, "decoder.old": file}
        torch.save(weights, tmp_path / file)
    del weight_map[missing]
    index.write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    with pytest.raises(CachekitError) as error:
        load_text_model(str(tmp_path), torch.float32)
    assert f"missing: {missing}; unexpected: encoder.new; misshapen: {misshapen} [7] for [64]" in str(error.value)
