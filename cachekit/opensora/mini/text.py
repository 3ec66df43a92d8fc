"""The mini's text encoder: a learned embedding of the few dozen words that its world has, phrase by phrase.

Which words belong together is what a picture of two objects hangs on, so a phrase's words are mixed with each other and
with no other phrase's: each caption token knows the whole of its object, and which one of the sentence's it is.
"""

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
ROLES = 4
"""What a phrase may be: the background, the first, second or any later object."""


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


def phrases(tokens: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The phrase that each word of `[B, L]` is in, counted from 0 (-1 where the prompt has ended), and its role.

    "and" begins an object's phrase and "over" the background's. Roles are 0 for the background, 1, 2 and 3 for the
    first, second and later objects.
    """
    joins, leads = tokens == _NUMBER["and"], tokens == _NUMBER["over"]
    phrase = (joins | leads).cumsum(1)
    last_join, last_lead = (
        (marks * torch.arange(1, tokens.shape[1] + 1, device=tokens.device)).cummax(1).values
        for marks in (joins, leads)
    )
    role = torch.where(last_lead > last_join, 0, (joins.cumsum(1) + 1).clamp(max=ROLES - 1))
    return phrase.masked_fill(tokens == 0, -1), role


class TextEncoder(nn.Module):
    """Prompts to caption embeddings: words, positions and their phrase's role, through attention within each phrase."""

    def __init__(self, config: TextConfig) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Embedding(len(_NUMBER), config.channels, padding_idx=0)
        self.positions = nn.Parameter(torch.randn(config.max_length, config.channels) * 0.02)
        self.roles = nn.Embedding(ROLES, config.channels)
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
        phrase, role = phrases(tokens)
        hidden = self.words(tokens) + self.positions + self.roles(role)
        together = phrase[:, :, None] == phrase[:, None, :]
        apart = ~together.repeat_interleave(self.config.heads, dim=0)
        return self.norm(self.layers(hidden, mask=apart))[:, None], tokens > 0
