"""The text of each row behind the ids that the filters see, character by character.

A character may take several tokens (bytes, or half-bytes of a byte). What a row has of one so far
is given as hexadecimal digits, which are the same for both.
"""

from typing import Any

from charrnn.inference.sampling.base import Context
from charrnn.tokenizers import Tokenizer
from charrnn.tokenizers.base import Decoder

Saved = list[Any]
"""A text as a state file holds it: [text, ids of an incomplete character]."""


class TextTracker:
    """Keeps the text of each row up to date with the ids in the filters' context."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._incomplete: dict[int, list[int]] = {}
        self._steps = 0
        # What rows begin with, by row; None for every row that has no entry of its own.
        self._begin: dict[int | None, Saved] = {}
        self.pieces = token_texts(tokenizer)
        self.digits = token_digits(tokenizer)
        self.texts: dict[int, str] = {}

    def update(self, context: Context) -> list[str]:
        """Context -> the text of each row so far, without its prompt."""
        for place, row in enumerate(context.rows):
            # A known row has one new token per step; the tokens before it are in its text already.
            since = 1
            if row not in self.texts:
                # A new row branched off another hypothesis, or nothing is written yet.
                text, ids = self._begin.get(row) or self._begin.get(None) or ["", []]
                self.texts[row], self._incomplete[row], since = text, list(ids), self._steps
            known = context.history[place]
            for token in known[len(known) - since :].tolist():
                self._take(row, token)
        self._steps += 1
        return [self.texts[row] for row in context.rows]

    @property
    def tokens(self) -> int:
        """Tokens of each row that were drawn since its beginning."""
        return max(0, self._steps - 1)

    def _take(self, row: int, token: int) -> None:
        added, rest = self._push(row, token)
        self.texts[row] += added
        self._incomplete[row] = [] if added and not rest else [*self._incomplete[row], token]

    def _push(self, row: int, token: int) -> tuple[str, str]:
        """The text that a token completes, and U+FFFD if it leaves a character incomplete."""
        # Most tokens are whole characters after whole characters, and need no decoder.
        if self.pieces[token] and not self._incomplete[row]:
            return self.pieces[token], ""
        # Each token gets a new decoder: most are only tried, and a decoder cannot take one back.
        decoder = Decoder(self._tokenizer)
        for each in self._incomplete[row]:
            decoder.push(each)
        return decoder.push(token), decoder.finish()

    def added_text(self, row: int, token: int) -> str:
        """What a token would add to a row's text; nothing if it leaves a character incomplete."""
        return self._push(row, token)[0]

    def is_incomplete(self, row: int) -> bool:
        """Whether a row ends inside a character."""
        return bool(self._incomplete[row])

    def begun(self, row: int) -> str:
        """The hexadecimal digits of the character that a row ends inside of, "" if of none."""
        return "".join(self.digits[token] for token in self._incomplete[row])

    def state(self, row: int, token: int, longest: int | None = None) -> Saved:
        """The text of a row after one more token, or its `longest` last characters, for `restore`.

        The token is given because filters run before the draw.
        """
        added, rest = self._push(row, token)
        text = self.texts[row] + added
        ids = [] if added and not rest else [*self._incomplete[row], token]
        return [text if longest is None else text[max(0, len(text) - longest) :], ids]

    def restore(self, row: int | None, saved: Saved) -> None:
        """Let a row, or with None every row, begin with a text that was saved."""
        # A state file may hold anything that is well-formed.
        if isinstance(saved, list):
            self._begin[row] = saved


def token_texts(tokenizer: Tokenizer) -> list[str]:
    """The text of each id by itself; empty for an id that is only part of a character."""
    return [token_text(tokenizer, token) for token in range(tokenizer.vocab_size)]


def token_text(tokenizer: Tokenizer, token: int) -> str:
    """The text of an id by itself; empty if it is only part of a character."""
    # Each id gets a new byte decoder, because one may keep half a byte of the id before.
    raw = tokenizer.byte_decoder()(token)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return ""


def token_digits(tokenizer: Tokenizer) -> list[str]:
    """The bytes of each id in hexadecimal: two digits a byte, one for half a byte."""
    digits = []
    for token in range(tokenizer.vocab_size):
        decode = tokenizer.byte_decoder()
        raw = decode(token)
        # Two equal half-bytes bring a byte of two equal digits.
        digits.append(raw.hex() if raw else decode(token).hex()[:1])
    return digits


def uses_byte_fallback(character: str, tokenizer: Tokenizer) -> bool:
    """Whether a character has no token of its own and takes several, those of its bytes."""
    return len(tokenizer.encode(character)) > 1


def document_ends(tokenizer: Tokenizer) -> list[int]:
    """The id that ends documents of more than a line, which is no character; none of lines."""
    return [] if tokenizer.start_id == tokenizer.newline_id else [tokenizer.start_id]
