"""What a generated text must or must not contain: banned texts, an alphabet, a regex, no copies.

Constraints are filters that know the text behind the ids. Each tracks the text of every row it has
seen, so an object can be used for one generation only. `Constraints` holds the options and makes
the filters.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
import regex

from charrnn.data.suffix_array import SuffixArray
from charrnn.errors import UsageError
from charrnn.inference.sampling import Filter, bias
from charrnn.inference.sampling.base import RULED_OUT, Context, Logits
from charrnn.tokenizers import Tokenizer
from charrnn.tokenizers.base import Decoder

PATTERN_TOKEN = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*(?:\]|\Z)"  # an escape, a set
    r"|\{\s*(?P<least>\d+)\s*(?:,\s*\d*\s*)?\}"  # a repetition
    r"|(?P<nothing>\(\?#[^)]*\)|\(\?[a-zA-Z0-9-]+\)|\s)"  # what a repetition may skip
    r"|.",
    re.DOTALL,
)

MAX_PATTERN = 100_000
"""Characters of a regular expression with its repetitions expanded: some 50 MB, half a second."""

ENDLESS = 10**12
"""An upper bound of `expanded_length`."""


@dataclass(frozen=True)
class Constraints:
    """The options of a constrained generation, each of which does nothing by default.

    ban: texts that are never written. allow: the only characters written. bias: text -> amount
    added to its token's logit. pattern: a regular expression that the text matches. no_copy: the
    longest run of characters copied from the training text.
    """

    ban: tuple[str, ...] = ()
    allow: str | None = None
    bias: Mapping[str, float] = field(default_factory=dict)
    pattern: str | None = None
    no_copy: int | None = None

    def filters(
        self, tokenizer: Tokenizer, corpus_index: Callable[[], SuffixArray]
    ) -> tuple[list[Filter], Callable[[int, int], bool] | None]:
        """Tokenizer -> the filters of one generation, and what ends a text besides its length.

        corpus_index: called only for `no_copy`. UsageError if an option cannot be satisfied.
        """
        amounts = token_biases(self.bias, tokenizer)
        if self.allow is not None:
            # The alphabet overrides the biases, so that no amount brings back an excluded token.
            amounts |= alphabet_bias(self.allow, tokenizer)
        filters: list[Filter] = []
        if amounts:
            filters.append(bias(amounts, tokenizer.vocab_size))
        if self.ban:
            filters.append(BanConstraint(self.ban, tokenizer))
        if self.no_copy is not None:
            filters.append(NoCopyConstraint(corpus_index(), self.no_copy, tokenizer))
        if self.pattern is None:
            return filters, None
        matching = RegexConstraint(self.pattern, tokenizer)
        return [*filters, matching], matching.ends


class TextTracker:
    """Keeps the text of each row up to date with the ids in the filters' context."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._incomplete: dict[int, list[int]] = {}
        self._steps = 0
        self.pieces = token_texts(tokenizer)
        self.texts: dict[int, str] = {}

    def update(self, context: Context) -> list[str]:
        """Context -> the text of each row so far, without its prompt."""
        for place, row in enumerate(context.rows):
            # A known row has one new token per step; the tokens before it are in its text already.
            since = 1
            if row not in self.texts:
                # A new row branched off another hypothesis, or nothing is written yet.
                self.texts[row], self._incomplete[row], since = "", [], self._steps
            known = context.history[place]
            for token in known[len(known) - since :].tolist():
                self._take(row, token)
        self._steps += 1
        return [self.texts[row] for row in context.rows]

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


def token_texts(tokenizer: Tokenizer) -> list[str]:
    """The text of each id by itself; empty for an id that is only part of a character."""
    texts = []
    for token in range(tokenizer.vocab_size):
        # Each id gets a new byte decoder, because one may keep half a byte of the id before.
        raw = tokenizer.byte_decoder()(token)
        try:
            texts.append(raw.decode())
        except UnicodeDecodeError:
            texts.append("")
    return texts


class BanConstraint:
    """Rules out tokens that would complete a banned text. UsageError if none is left."""

    def __init__(self, texts: tuple[str, ...], tokenizer: Tokenizer) -> None:
        self._texts = texts
        self._tracker = TextTracker(tokenizer)
        self._always: set[int] = set()
        self._after: dict[str, list[int]] = {}
        # The tokens that complete a banned text after each of its beginnings are found once, so
        # that a step only compares the text's end with the beginnings.
        for token, piece in enumerate(self._tracker.pieces):
            for text in texts:
                if text in piece:
                    self._always.add(token)
                for cut in range(1, len(text)):
                    if piece.startswith(text[cut:]):
                        self._after.setdefault(text[:cut], []).append(token)
        every = np.arange(tokenizer.vocab_size)
        self._parts = every[[not piece for piece in self._tracker.pieces]]
        # Any token that does not continue an incomplete character turns it into U+FFFD.
        self._breakers = every if "\ufffd" in "".join(texts) else self._parts
        if len(self._always | set(tokenizer.unsampled)) == tokenizer.vocab_size:
            raise UsageError("--ban leaves nothing to write with", "ban less")

    def __call__(self, logits: Logits, context: Context) -> Logits:
        """The filter."""
        left = logits.copy()
        left[:, list(self._always)] = RULED_OUT
        for place, text in enumerate(self._tracker.update(context)):
            for start, tokens in self._after.items():
                if text.endswith(start):
                    left[place, tokens] = RULED_OUT
            left[place, self._completing(context.rows[place], text, left[place])] = RULED_OUT
            if not np.isfinite(left[place]).any():
                raise UsageError(f"--ban leaves nothing to write after {text[-40:]!r}", "ban less")
        return left

    def _completing(self, row: int, text: str, logits: Logits) -> list[int]:
        """The tokens that complete a banned text whose last character takes several tokens."""
        # A banned text that ends in the token contains no more than this of the text before it.
        end = text[-max(map(len, self._texts)) :]
        candidates = self._breakers if self._tracker.is_incomplete(row) else self._parts
        return [
            token
            for token in candidates[np.isfinite(logits[candidates])].tolist()
            if any(banned in end + self._tracker.added_text(row, token) for banned in self._texts)
        ]


class RegexConstraint:
    """Leaves only tokens after which the text can still match a regular expression.

    Once the text matches, a newline may end it instead of continuing it. Characters that take
    several tokens are not written.
    """

    def __init__(self, pattern: str, tokenizer: Tokenizer) -> None:
        # The expansion of a{0} is shorter than the pattern, but the compiler reads all of it.
        length = max(len(pattern), expanded_length(pattern))
        if length > MAX_PATTERN:
            raise UsageError(
                f"--regex is {length:,} characters long with its repetitions expanded, "
                f"and {MAX_PATTERN:,} is the most",
                "repeat less",
            )
        try:
            # The regex package has partial matches; re cannot say that a text may still come to
            # match.
            self._pattern = regex.compile(pattern)
        except (regex.error, ValueError, RecursionError) as error:
            raise UsageError(f"--regex cannot be read: {error}", "correct the pattern") from None
        self._tracker = TextTracker(tokenizer)
        self._newline = tokenizer.newline_id

    def __call__(self, logits: Logits, context: Context) -> Logits:
        """The filter. UsageError if no token can continue a match."""
        left = np.full_like(logits, RULED_OUT)
        for place, text in enumerate(self._tracker.update(context)):
            # Each token costs a match, so those that are ruled out already are not tried.
            alive = np.flatnonzero(np.isfinite(logits[place]))
            kept = [token for token in alive.tolist() if self._continues(text, token)]
            if self._pattern.fullmatch(text):
                kept.append(self._newline)
            if not kept:
                raise UsageError(
                    f"the model can write no text that continues {text[-40:]!r} and matches "
                    "--regex",
                    "widen the pattern, or allow its characters",
                )
            # An earlier filter may have ruled out the newline, which has to remain possible as the
            # end.
            left[place, kept] = np.maximum(logits[place, kept], np.float32(-1e30))
        return left

    def _continues(self, text: str, token: int) -> bool:
        piece = self._tracker.pieces[token]
        return bool(piece) and self._pattern.fullmatch(text + piece, partial=True) is not None

    def ends(self, row: int, token: int) -> bool:
        """Whether this token is the newline that ends the text, and not part of it."""
        # The tracker reads a token at the next step, so its text here is the one before the token.
        return token == self._newline and not self._continues(self._tracker.texts[row], token)


class NoCopyConstraint:
    """Rules out tokens that would make more than `limit` characters in a row a copy."""

    def __init__(self, index: SuffixArray, limit: int, tokenizer: Tokenizer) -> None:
        self._index, self._limit = index, limit
        self._tracker = TextTracker(tokenizer)
        pieces = self._tracker.pieces
        # U+FFFD for an incomplete character may come before a piece.
        self._longest = 1 + max(map(len, pieces))
        self._always = {token for token, piece in enumerate(pieces) if self._contains_copy(piece)}

    def _contains_copy(self, piece: str) -> bool:
        """Whether a piece by itself has more than `limit` characters of the corpus in a row."""
        # A copy of more than `limit` characters contains one of limit + 1, so only these are
        # searched.
        size = self._limit + 1
        windows = (piece[i : i + size] for i in range(len(piece) - self._limit))
        return any(self._index.find(window.encode()) >= 0 for window in windows)

    def __call__(self, logits: Logits, context: Context) -> Logits:
        """The filter. A row in which every token would copy is left as it is."""
        left = logits.copy()
        for place, text in enumerate(self._tracker.update(context)):
            alive = np.flatnonzero(np.isfinite(logits[place])).tolist()
            copied = self._copying(context.rows[place], text, alive)
            if len(copied) < len(alive):
                left[place, copied] = RULED_OUT
        return left

    def _copying(self, row: int, text: str, tokens: list[int]) -> list[int]:
        """The tokens after which the last limit + 1 characters would occur in the corpus."""
        # A piece copies at its k-th character only if the limit + 1 - k characters before it do.
        tails = {
            k: text[len(text) - (self._limit + 1 - k) :]
            for k in range(1, min(self._longest, self._limit) + 1)
            if len(text) >= self._limit + 1 - k
        }
        # These few searches serve all tokens; where none finds its tail, no token can extend a
        # copy.
        risky = {k: tail for k, tail in tails.items() if self._index.find(tail.encode()) >= 0}
        added = self._tracker.added_text
        return [
            token
            for token in tokens
            if token in self._always or self._copies(added(row, token), risky)
        ]

    def _copies(self, piece: str, risky: dict[int, str]) -> bool:
        return any(
            len(piece) >= k and self._index.find((tail + piece[:k]).encode()) >= 0
            for k, tail in risky.items()
        )


def alphabet_bias(characters: str, tokenizer: Tokenizer) -> dict[int, float]:
    """Characters -> a bias of -inf for every token that contains another character."""
    known = set(characters)
    excluded = {
        token: -np.inf
        for token, piece in enumerate(token_texts(tokenizer))
        # A part of a character may become one that is not allowed.
        if not piece or not set(piece) <= known
    }
    if len(excluded.keys() | set(tokenizer.unsampled)) == tokenizer.vocab_size:
        raise UsageError("--allow leaves nothing to write with", "allow characters of the corpus")
    return excluded


def token_biases(texts: Mapping[str, float], tokenizer: Tokenizer) -> dict[int, float]:
    """Text -> amount, as id -> amount. UsageError for a text that is not exactly one token."""
    found = {}
    for text, amount in texts.items():
        ids = tokenizer.encode(text)
        if len(ids) != 1:
            raise UsageError(
                f"--bias {text!r} is {len(ids)} tokens for this model", "give texts of one token"
            )
        found[int(ids[0])] = amount
    return found


def expanded_length(pattern: str) -> int:
    """Regular expression -> its characters, sets and escapes, with n copies for `{n}` and `{n,m}`.

    The regex library expands repetitions when it compiles: `(ab){1000000}` took 680 MB and two
    seconds. The result is an upper bound, because white space counts even where it means nothing.

    >>> expanded_length("(ab){3}c")
    7
    """
    # For each open group, its length so far; and the length of what a repetition would repeat.
    lengths, last = [0], 0
    for found in PATTERN_TOKEN.finditer(pattern):
        if found["least"] and last:
            # int refuses thousands of digits, and ENDLESS has 13.
            count = int(found["least"]) if len(found["least"]) < 13 else ENDLESS
            # What is repeated has been counted once already.
            lengths[-1] = min(ENDLESS, lengths[-1] + last * max(0, count - 1))
            last = min(ENDLESS, last * max(1, count))
        elif found["nothing"]:
            lengths[-1] += 1
            # With the flag x, white space does not end what a repetition after it repeats.
            last = last or 1
        elif found[0] == "(":
            lengths.append(0)
        elif found[0] == ")" and len(lengths) > 1:
            last = lengths.pop()
            lengths[-1] = min(ENDLESS, lengths[-1] + last)
        else:
            lengths[-1] += 1
            last = 1
    # Groups that are never closed count too; the compiler reports them as an error.
    return min(ENDLESS, sum(lengths))
