"""What a generated text must or must not contain: banned texts, an alphabet, a regex, no copies.

Constraints are filters that know the text behind the ids: they are about characters, whatever
number of tokens spells them. Each tracks the text of every row it has seen, so an object can be
used for one generation only; `state` and `restore` carry it over to the next. `Constraints` holds
the options and makes the filters.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from charrnn.data.suffix_array import SuffixArray
from charrnn.errors import UsageError
from charrnn.inference.known_words import KnownWordsConstraint
from charrnn.inference.patterns import RegexConstraint
from charrnn.inference.sampling import Filter, bias
from charrnn.inference.sampling.base import RULED_OUT, Context, Logits
from charrnn.inference.text_tracker import Saved, TextTracker, document_ends, uses_byte_fallback
from charrnn.tokenizers import Tokenizer

CORPUS = "corpus"
"""The value of `known_words` that means the words of the training text."""

Ends = Callable[[int, int], bool]
"""Sample index and drawn id -> whether the id ends the text instead of belonging to it."""


KnownWords = Callable[[str, tuple[str, ...], str | None], KnownWordsConstraint]
"""What `Constraints.known_words`, `ban` and `allow` are -> the constraint to known words."""


@dataclass(frozen=True)
class Constraints:
    """The options of a constrained generation, each of which does nothing by default.

    ban: texts that are never written. allow: the only characters written. bias: text -> amount
    added to its token's logit. pattern: a regular expression that the text matches. no_copy: the
    longest run of characters copied from the training text. novel: whether no line of the corpus
    is written. known_words: CORPUS, or the file whose words are the only ones written. bars:
    whether the bars of a tune have to add up; None for models of tunes. key, meter: of a tune.
    """

    ban: tuple[str, ...] = ()
    allow: str | None = None
    bias: Mapping[str, float] = field(default_factory=dict)
    pattern: str | None = None
    no_copy: int | None = None
    novel: bool = False
    known_words: str | None = None
    bars: bool | None = None
    key: str = ""
    meter: str = ""

    @property
    def writes_characters(self) -> bool:
        """Whether U+FFFD, for a part of a character, is no text that may be written."""
        return any(each is not None for each in (self.allow, self.pattern, self.known_words))

    def filters(
        self,
        tokenizer: Tokenizer,
        corpus_index: Callable[[], SuffixArray],
        corpus_lines: Callable[[], Callable[[str], bool]] | None = None,
        lines: bool = False,
        end: int | None = None,
        known_words: KnownWords | None = None,
        bars: Filter | None = None,
    ) -> tuple[list[Filter], Ends | None]:
        """Tokenizer -> the filters of one generation, and what ends a text besides its length.

        corpus_index: called only for `no_copy`. corpus_lines: called only for `novel`; it returns
        whether a line is in the corpus. lines: whether a newline ends every text. end: the id that
        does, if it is another. known_words: called with what is known, banned and
        allowed; it returns the filter. bars: the filter of tunes, if there is one. UsageError if an
        option cannot be satisfied.
        """
        filters: list[Filter] = []
        if self.bias:
            filters.append(bias(token_biases(self.bias, tokenizer), tokenizer.vocab_size))
        if self.allow is not None:
            # After the biases, so that no amount brings back a token that is not allowed.
            filters.append(AllowConstraint(self.allow, tokenizer))
        if self.ban:
            filters.append(BanConstraint(self.ban, tokenizer))
        known = None
        if self.known_words is not None:
            assert known_words is not None
            # It knows what is banned and allowed: a word that cannot be finished is not begun.
            known = known_words(self.known_words, self.ban, self.allow)
            filters.append(known)
        if bars is not None:
            filters.append(bars)
        if self.no_copy is not None:
            filters.append(NoCopyConstraint(corpus_index(), self.no_copy, tokenizer))
        matching = None
        if self.pattern is not None:
            matching = RegexConstraint(self.pattern, tokenizer, lines, end, known)
            filters.append(matching)
        if self.novel:
            assert corpus_lines is not None
            # Last, because a pattern lets a newline end a text that another filter ruled out.
            filters.append(NovelConstraint(corpus_lines(), tokenizer))
        return filters, matching.ends if matching else None


class AllowConstraint:
    """Leaves only tokens that write allowed characters. UsageError if none is left.

    A part of a character is left where an allowed character begins with it.
    """

    name = "allow"

    def __init__(self, characters: str, tokenizer: Tokenizer) -> None:
        self._tracker = TextTracker(tokenizer)
        known = set(characters)
        # A character with a token of its own is written by it.
        fallbacks = [c.encode().hex() for c in known if uses_byte_fallback(c, tokenizer)]
        self._beginnings = {each[:end] for each in fallbacks for end in range(1, len(each) + 1)}
        pieces = self._tracker.pieces
        whole = np.array([bool(piece) and set(piece) <= known for piece in pieces])
        # The end of a document is no character.
        whole[document_ends(tokenizer)] = True
        # The tokens that may follow each beginning of a character; most follow none.
        self._after = {"": whole | self._continuing("")}
        if not np.delete(self._after[""], tokenizer.unsampled).any():
            raise UsageError(
                "--allow leaves nothing to write with", "allow characters of the corpus"
            )

    def _continuing(self, begun: str) -> NDArray[np.bool_]:
        """The tokens (V,) that go on with a character of which these digits are written."""
        return np.array(
            [
                bool(each) and not (piece and not begun) and begun + each in self._beginnings
                for each, piece in zip(self._tracker.digits, self._tracker.pieces, strict=True)
            ]
        )

    def __call__(self, logits: Logits, context: Context) -> Logits:
        """The filter."""
        left = np.full_like(logits, RULED_OUT)
        for place, text in enumerate(self._tracker.update(context)):
            begun = self._tracker.begun(context.rows[place])
            if begun not in self._after:
                self._after[begun] = self._continuing(begun)
            kept = self._after[begun]
            left[place, kept] = logits[place, kept]
            if not np.isfinite(left[place]).any():
                raise UsageError(
                    f"--allow leaves nothing to write after {text[-40:]!r}", "allow more characters"
                )
        return left

    def state(self, row: int, token: int) -> Saved:
        """The character that is incomplete."""
        return self._tracker.state(row, token, 0)

    def restore(self, row: int | None, saved: Saved) -> None:
        """Go on within an incomplete character."""
        self._tracker.restore(row, saved)


class BanConstraint:
    """Rules out tokens that would complete a banned text. UsageError if none is left."""

    name = "ban"

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

    def state(self, row: int, token: int) -> Saved:
        """As much of the text as can begin a banned one."""
        return self._tracker.state(row, token, max(map(len, self._texts)))

    def restore(self, row: int | None, saved: Saved) -> None:
        """Go on after a text that may have begun a banned one."""
        self._tracker.restore(row, saved)


class NoCopyConstraint:
    """Rules out tokens that would make more than `limit` characters in a row a copy."""

    name = "no_copy"

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

    def state(self, row: int, token: int) -> Saved:
        """As much of the text as can be part of a copy that is too long."""
        return self._tracker.state(row, token, self._limit)

    def restore(self, row: int | None, saved: Saved) -> None:
        """Go on after a text that may end in a copy."""
        self._tracker.restore(row, saved)


class NovelConstraint:
    """Rules out tokens that would complete a line of the corpus; the prompt's end belongs to it.

    is_known: whether a line is in the corpus. UsageError if no token is left.
    """

    name = "novel"

    def __init__(self, is_known: Callable[[str], bool], tokenizer: Tokenizer) -> None:
        self._is_known = is_known
        self._tokenizer = tokenizer
        self._tracker = TextTracker(tokenizer)
        self._prompts: dict[int, str] = {}
        self._restored: set[int | None] = set()
        self._breaking = np.array(["\n" in piece for piece in self._tracker.pieces])
        self._ends = document_ends(tokenizer)
        self._breaking[self._ends] = True

    def __call__(self, logits: Logits, context: Context) -> Logits:
        """The filter."""
        left = logits.copy()
        for place, text in enumerate(self._tracker.update(context)):
            row = context.rows[place]
            if row not in self._prompts:
                self._prompts[row] = self._prompt(row, context, place)
            line = (self._prompts[row] + text).rpartition("\n")[2]
            alive = np.isfinite(logits[place])
            # The last token ends a line, whatever it is.
            tried = alive if context.last else alive & self._breaking
            out = [
                t for t in np.flatnonzero(tried).tolist() if self._completes(row, line, t, context)
            ]
            left[place, out] = RULED_OUT
            if len(out) == alive.sum():
                raise UsageError(
                    f"--novel leaves nothing to write after {line[-40:]!r}",
                    "give another --length, --prompt or --regex",
                )
        return left

    def _prompt(self, row: int, context: Context, place: int) -> str:
        """The line of the prompt that a new row goes on with."""
        if {row, None} & self._restored:
            return ""
        history = context.history[place]
        known = history[: len(history) - self._tracker.tokens]
        return self._tokenizer.decode(known[known >= 0].tolist()).rpartition("\n")[2]

    def _completes(self, row: int, line: str, token: int, context: Context) -> bool:
        if token in self._ends:
            return self._is_known(line)
        lines = (line + self._tracker.added_text(row, token)).split("\n")
        return any(map(self._is_known, lines if context.last else lines[:-1]))

    def state(self, row: int, token: int) -> Saved:
        """The line so far, with what the prompt has of it."""
        text, ids = self._tracker.state(row, token)
        return [(self._prompts[row] + text).rpartition("\n")[2], ids]

    def restore(self, row: int | None, saved: Saved) -> None:
        """Go on within a line."""
        self._restored.add(row)
        self._tracker.restore(row, saved)


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
