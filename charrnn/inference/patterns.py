"""A text that matches a regular expression, whatever tokens spell its characters.

The expression becomes an automaton over bytes, by llguidance: exact for every beginning of a match,
in time that does not depend on how the expression is written. What an automaton cannot decide
(lookaround, back-references) is refused.
"""

import copy
import functools
import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import UsageError
from charrnn.inference.known_words import KnownWordsConstraint
from charrnn.inference.sampling.base import RULED_OUT, Context, Logits
from charrnn.inference.text_tracker import Saved, TextTracker, document_ends, uses_byte_fallback
from charrnn.inference.word_automaton import WordState
from charrnn.inference.word_pattern import rest_of_text
from charrnn.tokenizers import Tokenizer

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

BYTES = 256


class RegexConstraint:
    """Leaves only tokens after which the text can still match a regular expression.

    Once the text matches, a newline may end it instead of continuing it. In a corpus of `lines` a
    newline always ends it, so a match never contains one; other documents have an end of their own.
    """

    name = "regex"

    def __init__(
        self,
        pattern: str,
        tokenizer: Tokenizer,
        lines: bool = False,
        end: int | None = None,
        words: KnownWordsConstraint | None = None,
    ) -> None:
        """end: the id that ends a text, where that is not the one that ends a document.

        words: the constraint to known words, with which the text has to agree; or None.
        """
        self._words, self._restored = words, set[int | None]()
        self._automata: dict[WordState | None, _Automaton] = {}
        self._tracker = TextTracker(tokenizer)
        ends = document_ends(tokenizer)
        known_end = ends[0] if ends else tokenizer.newline_id
        self._end = known_end if end is None else end
        self._automaton = _Automaton(pattern, self._tracker.digits)
        digits = self._tracker.digits
        self._half_bytes = [i for i, each in enumerate(digits) if len(each) == 1]
        self._halves = [int(digits[i], 16) for i in self._half_bytes]
        # An ASCII character with a token of its own is written by it, not by half-bytes.
        self._fallbacks = np.array(
            [b > 127 or uses_byte_fallback(chr(b), tokenizer) for b in range(BYTES)]
        )
        self._excluded = ends or [
            i for i, piece in enumerate(self._tracker.pieces) if lines and "\n" in piece
        ]
        if end is not None:
            self._excluded = [*self._excluded, end]
        self._matchers: dict[int, tuple[Any, int]] = {}
        # Rows in which the token that can end a text would continue the match.
        self._continued: set[int] = set()

    def __call__(self, logits: Logits, context: Context) -> Logits:
        """The filter. UsageError if no token can continue a match."""
        left = np.full_like(logits, RULED_OUT)
        for place, text in enumerate(self._tracker.update(context)):
            row = context.rows[place]
            begun = self._tracker.begun(row)
            if row not in self._matchers:
                self._matchers[row] = self._start(row, context.history[place]), 0
            kept, is_match = self._continuing(row, text, begun)
            kept &= np.isfinite(logits[place])
            self._continued.discard(row)
            if kept[self._end]:
                self._continued.add(row)
            elif is_match:
                kept[self._end] = True
            if not kept.any():
                raise UsageError(
                    f"the model can write no text that continues {text[-40:]!r} and matches "
                    "--regex",
                    "widen the pattern, or allow its characters",
                )
            # An earlier filter may have ruled out the end, which has to remain possible.
            left[place, kept] = np.maximum(logits[place, kept], np.float32(-1e30))
        return left

    def _start(self, row: int, history: NDArray[np.integer]) -> Any:
        """A matcher at the beginning of a row, and in the word that its prompt ends in."""
        if self._words is None:
            return self._automaton.start()
        state = None
        # A text that goes on may have begun inside of any word.
        if not {row, None} & self._restored:
            prompt = history[: len(history) - self._tracker.tokens]
            state = self._words.state_after(prompt)._replace(recent="")
        if state not in self._automata:
            more = rest_of_text(self._words.automaton, state)
            self._automata[state] = self._automaton.within(more)
        return self._automata[state].start()

    def _continuing(self, row: int, text: str, begun: str) -> tuple[NDArray[np.bool_], bool]:
        """A row and its text -> the tokens (V,) that continue a match, and whether it is one."""
        whole = text.encode() + bytes.fromhex(begun[: len(begun) // 2 * 2])
        matcher, read = self._matchers[row]
        self._automaton.consume(matcher, whole[read:])
        self._matchers[row] = matcher, len(whole)
        kept, following, is_match = self._automaton.mask(matcher)
        kept[self._excluded] = False
        if self._half_bytes:
            following &= self._fallbacks
            if len(begun) % 2:
                # Only the second half of the byte can follow its first half.
                kept[:] = False
                low = following[16 * int(begun[-1], 16) :][:16]
                kept[self._half_bytes] = low[self._halves]
            else:
                high = np.array([following[16 * half :][:16].any() for half in range(16)])
                kept[self._half_bytes] = high[self._halves]
        return kept, is_match and not begun

    def ends(self, row: int, token: int) -> bool:
        """Whether this token ends the text and is not part of it."""
        return token == self._end and row not in self._continued

    def state(self, row: int, token: int) -> Saved:
        """The text so far, which is where it is in the pattern."""
        return self._tracker.state(row, token)

    def restore(self, row: int | None, saved: Saved) -> None:
        """Go on within the match that a saved text has begun. UsageError if it has begun none."""
        if not isinstance(saved, list):
            return
        try:
            self._automaton.consume(self._automaton.start(), saved[0].encode())
        except UsageError:
            raise UsageError(
                f"the saved text {saved[0][-40:]!r} begins no match of --regex",
                "give the --regex that it was begun with",
            ) from None
        self._restored.add(row)
        self._tracker.restore(row, saved)


class _Automaton:
    """A regular expression over the bytes of a tokenizer's tokens."""

    def __init__(self, pattern: str, digits: list[str]) -> None:
        # The expansion of a{0} is shorter than the pattern, but the compiler reads all of it.
        length = max(len(pattern), expanded_length(pattern))
        if length > MAX_PATTERN:
            raise UsageError(
                f"--regex is {length:,} characters long with its repetitions expanded, "
                f"and {MAX_PATTERN:,} is the most",
                "repeat less",
            )
        from llguidance import LLTokenizer, TokenizerWrapper

        self._size = len(digits)
        tokens = [bytes.fromhex(each) if len(each) > 1 else b"" for each in digits]
        self._pattern, self._is_wide = pattern, False
        self._tokenizer = LLTokenizer(TokenizerWrapper(_Vocabulary(tokens)))
        self._grammar = _grammar(pattern)
        error = self.start().get_error()
        if error:
            raise UsageError(f"--regex cannot be read: {_reason(error)}", "correct the pattern")

    def within(self, patterns: list[str]) -> "_Automaton":
        """The same for a text that matches these patterns too; ~ before one: that does not."""
        found = copy.copy(self)
        found._grammar, found._is_wide = _grammar(self._pattern, patterns), True
        error = found.start().get_error()
        # What matches nothing at all has no automaton.
        if "NoExtensionBias" in error:
            return found
        if error:
            raise UsageError(
                f"--regex and --known-words are too much together ({_reason(error)})",
                "give fewer words in a file, or a simpler pattern",
            )
        return found

    def start(self) -> Any:
        """A matcher at the beginning of a text."""
        from llguidance import LLMatcher

        # A list of words is larger than what a person writes, and known to be finite.
        wide = _wide_limits() if self._is_wide else None
        return LLMatcher(self._tokenizer, self._grammar, log_level=0, limits=wide)

    def consume(self, matcher: Any, text: bytes) -> None:
        """Let a matcher read bytes. UsageError if no match begins so."""
        if text and not matcher.consume_tokens([self._size + byte for byte in text]):
            raise UsageError("the text does not begin a match of --regex", "widen the pattern")

    def mask(self, matcher: Any) -> tuple[NDArray[np.bool_], NDArray[np.bool_], bool]:
        """The tokens (V,) and the bytes (256,) that can follow, and whether the text matches."""
        bits = np.unpackbits(np.frombuffer(matcher.compute_bitmask(), np.uint8), bitorder="little")
        # A matcher that has failed, because nothing matches at all, offers its end.
        if matcher.is_error():
            bits = np.zeros_like(bits)
        kept, following = bits[: self._size], bits[self._size : self._size + BYTES]
        is_match = matcher.is_accepting() and not matcher.is_error()
        return kept.astype(bool), following.astype(bool), bool(is_match)


def _wide_limits() -> Any:
    """Limits of an automaton of a pattern and all known words."""
    from llguidance import LLParserLimits

    return LLParserLimits(
        initial_lexer_fuel=10**8,
        step_lexer_fuel=10**8,
        max_lexer_states=10**7,
        max_grammar_size=10**8,
        precompute_large_lexemes=False,
    )


class _Vocabulary:
    """What llguidance asks of a tokenizer: the model's tokens, after them every byte, an end."""

    bos_token_id = None

    def __init__(self, tokens: list[bytes]) -> None:
        self.tokens = [*tokens, *(bytes((byte,)) for byte in range(BYTES)), b"<|end|>"]
        self.eos_token_id = len(self.tokens) - 1
        self.special_token_ids = [self.eos_token_id]
        self._first_byte = len(tokens)

    def __call__(self, text: bytes) -> list[int]:
        return [self._first_byte + byte for byte in text]


def _grammar(pattern: str, also: Sequence[str] = ()) -> str:
    """Regular expression -> a grammar of llguidance, where a mask has every token that fits.

    By itself it would offer, where only one text can follow, the one token that begins it best.
    also: as in `_Automaton.within`.
    """
    # Lark puts an expression between slashes. A backslash at the end would escape the last one.
    if re.search(r"(?<!\\)(?:\\\\)*\\\Z", pattern):
        raise UsageError("--regex cannot be read: it ends in a backslash", "correct the pattern")
    lark = '%llguidance {"no_forcing": true}\nstart: '
    if also:
        names = [f"PART{number}" for number in range(len(also) + 1)]
        lark += "ALL\nALL: " + " & ".join(
            "~" * each.startswith("~") + name
            for name, each in zip(names, (pattern, *also), strict=True)
        )
        for name, each in zip(names, (pattern, *also), strict=True):
            lark += f"\n{name}: {_written(each.removeprefix('~') if name != names[0] else each)}"
    else:
        lark += _written(pattern)
    return json.dumps({"grammars": [{"lark_grammar": lark}]})


def _written(pattern: str) -> str:
    """A regular expression as it is in a grammar."""
    written = re.sub(r"\\?/", r"\\x2F", re.sub(r"(\\\\)", r"\\x5C", pattern))
    return "/" + written.replace("\n", r"\n") + "/"


def _reason(error: str) -> str:
    """The message of llguidance -> what is wrong with the pattern, in a few words."""
    found = re.search(r"error: ([^\n]+)", error) or re.search(r"\(in regex\): ([^;\n]+)", error)
    return found[1].strip() if found else " ".join(error.split())[:200]


@functools.cache
def _bytes_alone(pattern: str) -> _Automaton:
    return _Automaton(pattern, [])


def matches(pattern: str, text: str) -> bool:
    """Whether a whole text matches a regular expression.

    >>> matches("[a-z]{2}", "ab"), matches("[a-z]{2}", "a")
    (True, False)
    """
    automaton = _bytes_alone(pattern)
    matcher = automaton.start()
    try:
        automaton.consume(matcher, text.encode("utf-8", "replace"))
    except UsageError:
        return False
    return automaton.mask(matcher)[2]


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
