"""Captions as Open-Sora's T5 saw them in training (opensora/models/text_encoder/t5.py at tag v1.2.0).

The cleaning is that of the DeepFloyd and PixArt data sets: web captions lose their addresses, file names, article
numbers and decorations. Every rule matters to the letter, since the model knows no other captions.
"""

from __future__ import annotations

import html
import re
import urllib.parse
import warnings

from cachekit.opensora.optional import need

DOMAIN = r"[a-z0-9.\-]+[.](?:com|co|ru|net|org|edu|gov|it)[\w/-]*\b/?(?!@)"
SLASHES = r"(?:/{1,3}|[a-z0-9%])"
DASHES = (
    r"[\u002d\u058a\u05be\u1400\u1806\u2010-\u2015\u2e17\u2e1a\u2e3a\u2e3b\u2e40"
    r"\u301c\u3030\u30a0\ufe31\ufe32\ufe58\ufe63\uff0d]+"
)
FILE_TYPES = "(?:png|jpg|jpeg|bmp|webp|eps|pdf|apk|mp4)"

Rules = tuple[tuple[str, str], ...]

ADDRESSES: Rules = (
    ("<person>", "person"),
    (rf"\b(?:https?:{SLASHES}|{DOMAIN})", ""),
    (rf"\b(?:www:{SLASHES}|{DOMAIN})", ""),
)
SIGNS: Rules = (
    (r"@\w+\b", ""),  # @nickname
    (r"[\u31c0-\u9fff]+", ""),  # Chinese and Japanese signs, in seven neighbouring Unicode blocks
    (DASHES, "-"),
    ("[`\u00b4\u00ab\u00bb\u201c\u201d\u00a8]", '"'),
    ("[\u2018\u2019]", "'"),
    (r"&quot;?", ""),
    (r"&amp", ""),
    (r"\d{1,3}(?:\.\d{1,3}){3}", " "),  # IP addresses
    (r"\d:\d\d\s+$", ""),  # times at the end
    (r"\\n", " "),
    (r"#\d{1,3}\b", ""),
    (r"#\d{5,}\b", ""),
    (r"\b\d{6,}\b", ""),
    (rf"\S+\.{FILE_TYPES}", ""),
    (r"[\"']{2,}", '"'),
    (r"\.{2,}", " "),
    (r"[#\u00ae\u2022\u00a9\u2122&@\u00b7\u00ba\u00bd\u00be\u00bf\u00a1\u00a7~)(\]\[}{|\\/*]+", " "),
    (r"\s+\.\s+", " "),
)
WORDS: Rules = (
    (r"\b[a-zA-Z]{1,3}\d{3,15}\b", ""),  # jc6640
    (r"\b[a-zA-Z]+\d+[a-zA-Z]+\b", ""),  # jc6640vc
    (r"\b\d+[a-zA-Z]+\d+\b", ""),  # 6640vc231
    (r"(?:worldwide\s+)?(?:free\s+)?shipping", ""),
    (r"(?:free\s)?download(?:\sfree)?", ""),
    (r"\bclick\b\s(?:for|on)\s\w+", ""),
    (rf"\b{FILE_TYPES}(?:\simages?)?", ""),
    (r"\bpage\s+\d+\b", ""),
    (r"\b\d*[a-zA-Z]+\d+[a-zA-Z]+\d+[a-zA-Z\d]*\b", " "),  # j2d1a2a
    ("\\b\\d+\\.?\\d*[x\u0445\u00d7]\\d+\\.?\\d*\\b", ""),  # 640x480, with a Latin x, a Cyrillic one or a sign
    (r"\b\s+:\s+", ": "),
    (r"(\D[,./])\b", r"\1 "),
    (r"\s+", " "),
    (r"^[\"']([\w\W]+)[\"']$", r"\1"),
    (r"^['_,\-:;]", ""),
    (r"['_,\-:+]$", ""),
    (r"^\.\S+$", ""),
)
MANY_JOINTS = 3
"""A caption with more dashes and underscores than this was a file name, and they become spaces."""


def with_aesthetic_score(prompt: str, score: float | None) -> str:
    """The prompt with the score that captions carried in training, where it names none itself."""
    if score is None or "aesthetic score:" in prompt:
        return prompt
    return f"{prompt} aesthetic score: {score:.1f}."


def clean(prompt: str) -> str:
    """The prompt as a training caption: cleaned twice, as the public code does.

    Raises CachekitError where ftfy or beautifulsoup4 is not installed.
    """
    return clean_once(clean_once(prompt))


def clean_once(caption: str) -> str:
    ftfy, bs4 = need("ftfy"), need("bs4")
    caption = urllib.parse.unquote_plus(caption).strip().lower()
    caption = apply(ADDRESSES, caption)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # bs4 warns of captions that look like addresses and file names
        caption = bs4.BeautifulSoup(caption, features="html.parser").text
    caption = apply(SIGNS, caption)
    if len(re.findall("[-_]", caption)) > MANY_JOINTS:
        caption = re.sub("[-_]", " ", caption)
    caption = html.unescape(html.unescape(ftfy.fix_text(caption))).strip()
    return apply(WORDS, caption).strip()


def apply(rules: Rules, text: str) -> str:
    for pattern, replacement in rules:
        text = re.sub(pattern, replacement, text)
    return text
