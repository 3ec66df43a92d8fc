"""Prompts to embeddings: 300 tokens, padding masked, a published T5 folder read as it is."""

import json

import pytest
import torch

from cachekit import CachekitError
from cachekit.opensora.text import HashTokenizer, TextEncoder

SENTENCE = "a red balloon drifts over the lake while waves roll onto beach in evening light and mist rises slowly"


@pytest.fixture(scope="module")
def t5_folder(small, tmp_path_factory):
    """A T5 encoder as DeepFloyd/t5-v1_1-xxl is published: torch's weight files, a sentence-piece vocabulary."""
    import sentencepiece

    folder = tmp_path_factory.mktemp("t5")
    small.text_encoder.model.config.save_pretrained(folder)
    weights = dict(small.text_encoder.model.state_dict())
    weights["shared.weight"] = weights["encoder.embed_tokens.weight"] = weights["shared.weight"].clone()
    names = sorted(weights)
    shards = {"pytorch_model-00001-of-00002.bin": names[::2], "pytorch_model-00002-of-00002.bin": names[1::2]}
    for file, keys in shards.items():
        torch.save({key: weights[key].clone() for key in keys}, folder / file)
    weight_map = {key: file for file, keys in shards.items() for key in keys}
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([SENTENCE, SENTENCE[::-1]] * 10),
        model_prefix=str(folder / "spiece"),
        vocab_size=40,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "T5Tokenizer", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"})
    )
    return folder


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


def test_a_folder_that_lacks_a_tensor_is_refused_by_its_name(t5_folder, tmp_path):
    from cachekit.opensora.parts import load_text_model

    for file in t5_folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    key = "encoder.final_layer_norm.weight"
    index = tmp_path / "pytorch_model.bin.index.json"
    content = json.loads(index.read_text())
    shard = tmp_path / content["weight_map"].pop(key)
    index.write_text(json.dumps(content))
    weights = torch.load(shard, weights_only=True)
    del weights[key]
    torch.save(weights, shard)
    with pytest.raises(CachekitError, match=f"missing: {key}"):
        load_text_model(str(tmp_path), torch.float32)
