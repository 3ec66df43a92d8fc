"""Open-Sora 1.2's text encoder: T5's last hidden states of a cleaned caption, padding masked, none removed."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import attrs
import torch
from torch import nn

from cachekit.opensora.captions import clean, with_aesthetic_score

MAX_TOKENS = 300


class Tokenizer(Protocol):
    """Text to token numbers, without padding, the end-of-text token last."""

    def __call__(self, text: str) -> list[int]: ...


@attrs.frozen
class PublishedTokenizer:
    """A transformers tokenizer, such as T5's of sentence pieces."""

    tokenizer: Any

    def __call__(self, text: str) -> list[int]:
        return list(self.tokenizer(text, add_special_tokens=True, truncation=False, verbose=False)["input_ids"])


@attrs.frozen
class HashTokenizer:
    """Each word by its hash: needs no vocabulary file, for models of random weights."""

    vocabulary: int
    end: int = 1
    """Token behind the last word; 0 is padding's."""

    def __call__(self, text: str) -> list[int]:
        hashes = (int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "big") for word in text.split())
        return [self.end + 1 + value % (self.vocabulary - self.end - 1) for value in hashes] + [self.end]


@attrs.frozen(eq=False)
class TextEmbedding:
    """What the transformer is given of a prompt."""

    caption: str
    """The prompt as T5 read it."""
    y: torch.Tensor
    """Embeddings `[1, 1, max_tokens, C]`."""
    mask: torch.Tensor
    """1 for the caption's tokens, 0 for padding, `[1, max_tokens]`."""


@attrs.frozen(eq=False)
class TextEncoder:
    """A T5 encoder with its tokenizer."""

    model: nn.Module
    """A transformers T5EncoderModel."""
    tokenizer: Tokenizer
    aesthetic_score: float | None = 6.5
    max_tokens: int = MAX_TOKENS

    def caption(self, prompt: str) -> str:
        """The prompt with its aesthetic score, cleaned as the training captions were."""
        return clean(with_aesthetic_score(prompt, self.aesthetic_score))

    def token_count(self, prompt: str) -> int:
        """Tokens of the caption before it is cut to `max_tokens`."""
        return len(self.tokenizer(self.caption(prompt)))

    def tokens(self, caption: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Token numbers and mask, each `[1, max_tokens]`; a caption too long keeps its end-of-text token."""
        numbers = self.tokenizer(caption)
        if len(numbers) > self.max_tokens:
            numbers = [*numbers[: self.max_tokens - 1], numbers[-1]]
        padding = self.max_tokens - len(numbers)
        return torch.tensor([numbers + [0] * padding]), torch.tensor([[1] * len(numbers) + [0] * padding])

    @torch.no_grad()
    def encode(self, prompt: str, *, device: torch.device | str) -> TextEmbedding:
        """The embedding of a prompt, on `device`, where the model is."""
        caption = self.caption(prompt)
        numbers, mask = (tensor.to(device) for tensor in self.tokens(caption))
        states = self.model(input_ids=numbers, attention_mask=mask).last_hidden_state
        return TextEmbedding(caption, states[:, None], mask)
