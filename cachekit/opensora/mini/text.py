"""The mini's text encoder: a learned embedding of the few dozen words that its world has."""

import re

import attrs
import torch
from torch import nn

from cachekit.errors import CachekitError
from cachekit.opensora.mini import scenes

PADDING = "<pad>"
FILLERS = ("a", "an", "the", "over", "and", "moves", "spins")
WORDS = tuple(
    dict.fromkeys(
        (*FILLERS, *scenes.COLOURS, *scenes.SHAPES, *scenes.DIRECTIONS, *" ".join(scenes.BACKGROUNDS).split())
    )
)
"""Every word the model has been taught, in the order of its embedding."""
_NUMBER = {word: number for number, word in enumerate((PADDING, *WORDS))}


@attrs.frozen
class TextConfig:
    channels: int = 128
    layers: int = 2
    heads: int = 4
    max_length: int = 24


def split_words(prompt: str) -> list[str]:
    """The prompt's words in lower case, punctuation left out."""
    return re.findall(r"[^\W_]+", prompt.lower())


def unknown_words(prompt: str) -> list[str]:
    """Words of the prompt that the model has never seen, each once."""
    return [word for word in dict.fromkeys(split_words(prompt)) if word not in _NUMBER]


def tokenize(prompt: str, max_length: int) -> list[int]:
    """Numbers of the prompt's known words, cut to `max_length`; a prompt with none but filler words is refused."""
    known = [word for word in split_words(prompt) if word in _NUMBER]
    if not set(known) - set(FILLERS):
        raise CachekitError(
            f"the prompt {prompt!r} has no word that opensora-mini knows; its words are {', '.join(WORDS)}"
        )
    return [_NUMBER[word] for word in known[:max_length]]


class TextEncoder(nn.Module):
    """Prompts to caption embeddings: word and position embeddings through a small transformer encoder."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Embedding(len(_NUMBER), config.channels, padding_idx=0)
        self.positions = nn.Parameter(torch.randn(config.max_length, config.channels) * 0.02)
        layer = nn.TransformerEncoderLayer(
            config.channels, config.heads, 2 * config.channels, dropout=0.0, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(config.channels)

    def tokens(self, prompts: list[str]) -> torch.Tensor:
        """`[B, L]` word numbers, 0 where a prompt has ended."""
        rows = torch.zeros(len(prompts), self.config.max_length, dtype=torch.long)
        for row, prompt in zip(rows, prompts, strict=True):
            numbers = tokenize(prompt, self.config.max_length)
            row[: len(numbers)] = torch.tensor(numbers)
        return rows

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Caption embeddings `[B, 1, L, C]` and the mask `[B, L]` (bool) of the words there are."""
        mask = tokens > 0
        hidden = self.words(tokens) + self.positions
        hidden = self.layers(hidden, src_key_padding_mask=~mask)
        return self.norm(hidden)[:, None], mask
