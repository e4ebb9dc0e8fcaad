"""Words: texts that fit into a narrow panel, and that can be joined. Imports nothing."""

from __future__ import annotations

import re

BREAK = "\u200b"  # where a line may be broken, without a mark
_LONG_WORD, _PIECE = 24, 20  # letters
_SEPARATORS = re.compile(r"([/\\_\-.,;:=|])")


def breakable(text: str) -> str:
    """The text with places in its long words, such as paths, where a line may be broken: a label is as wide as its longest word."""
    return " ".join(_breakWord(word) if len(word) > _LONG_WORD else word for word in text.split(" "))


def shortened(text: str, letters: int) -> str:
    """The text, cut with three dots if it has more letters; the middle goes, as names differ at their ends."""
    if len(text) <= letters:
        return text
    head = (letters - 3) // 2
    return text[:head] + "..." + text[len(text) - (letters - 3 - head) :]


def sentence(text: str) -> str:
    """The text with a period, unless it has an end: another sentence can follow it."""
    text = text.rstrip()
    return text if not text or text[-1] in ".!?:" else text + "."


def _breakWord(word: str) -> str:
    pieces = _SEPARATORS.sub(rf"\1{BREAK}", word).split(BREAK)
    return BREAK.join(BREAK.join(piece[at : at + _PIECE] for at in range(0, len(piece), _PIECE)) for piece in pieces if piece)
