"""What a text must or must not hold: banned and allowed characters, a bias, a regular expression.

These are filters that know the text behind the ids. Each remembers the text of every row that it
has seen, so one object serves one generation.
"""

from collections.abc import Mapping

import numpy as np
import regex

from charrnn.errors import UsageError
from charrnn.patterns import written_out
from charrnn.sampling.base import OUT, Context, Logits
from charrnn.tokenizer import Tokenizer
from charrnn.tokenizer.base import Decoder

LONGEST = 100_000
"""Characters of a regular expression, its repetitions written out: some 50 MB, half a second."""


class Follower:
    """Keeps the text of each row up to date with the ids in the context's history."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._unfinished: dict[int, list[int]] = {}
        self._steps = 0
        self.pieces = pieces(tokenizer)
        self.texts: dict[int, str] = {}

    def follow(self, context: Context) -> list[str]:
        """The text of each row so far; its prompt does not count."""
        for place, row in enumerate(context.rows):
            since = 1
            if row not in self.texts:
                # A row that is new has branched off another, or nothing is written yet.
                self.texts[row], self._unfinished[row], since = "", [], self._steps
            known = context.history[place]
            for token in known[len(known) - since :].tolist():
                self._take(row, token)
        self._steps += 1
        return [self.texts[row] for row in context.rows]

    def _take(self, row: int, token: int) -> None:
        added, rest = self._push(row, token)
        self.texts[row] += added
        self._unfinished[row] = [] if added and not rest else [*self._unfinished[row], token]

    def _push(self, row: int, token: int) -> tuple[str, str]:
        """The text that a token completes, and a broken character if one is begun with it."""
        if self.pieces[token] and not self._unfinished[row]:
            return self.pieces[token], ""
        decoder = Decoder(self._tokenizer)
        for each in self._unfinished[row]:
            decoder.push(each)
        return decoder.push(token), decoder.finish()

    def adds(self, row: int, token: int) -> str:
        """What a token would add to a row's text: nothing where it leaves a character begun."""
        return self._push(row, token)[0]

    def begun(self, row: int) -> bool:
        """Whether a row ends within a character."""
        return bool(self._unfinished[row])


def pieces(tokenizer: Tokenizer) -> list[str]:
    """The text of each id by itself; empty where it is only a part of a character."""
    spelled = []
    for token in range(tokenizer.vocab_size):
        raw = tokenizer.spell()(token)
        try:
            spelled.append(raw.decode())
        except UnicodeDecodeError:
            spelled.append("")
    return spelled


class Ban:
    """Rules out tokens that would complete one of the banned texts; UsageError if none is left."""

    def __init__(self, texts: tuple[str, ...], tokenizer: Tokenizer) -> None:
        self._texts = texts
        self._follower = Follower(tokenizer)
        self._always: set[int] = set()
        self._after: dict[str, list[int]] = {}
        for token, piece in enumerate(self._follower.pieces):
            for text in texts:
                if text in piece:
                    self._always.add(token)
                for cut in range(1, len(text)):
                    if piece.startswith(text[cut:]):
                        self._after.setdefault(text[:cut], []).append(token)
        every = np.arange(tokenizer.vocab_size)
        self._parts = every[[not piece for piece in self._follower.pieces]]
        # A broken character is completed by whatever does not go on with it.
        self._breakers = every if "\ufffd" in "".join(texts) else self._parts
        if len(self._always | set(tokenizer.unsampled)) == tokenizer.vocab_size:
            raise UsageError("--ban leaves nothing to write with", "ban less")

    def __call__(self, logits: Logits, context: Context) -> Logits:
        """The filter."""
        left = logits.copy()
        left[:, list(self._always)] = OUT
        for place, text in enumerate(self._follower.follow(context)):
            for start, tokens in self._after.items():
                if text.endswith(start):
                    left[place, tokens] = OUT
            left[place, self._completing(context.rows[place], text, left[place])] = OUT
            if not np.isfinite(left[place]).any():
                raise UsageError(f"--ban leaves nothing to write after {text[-40:]!r}", "ban less")
        return left

    def _completing(self, row: int, text: str, logits: Logits) -> list[int]:
        """The tokens that complete a banned text with a character that takes several."""
        end = text[-max(map(len, self._texts)) :]
        suspects = self._breakers if self._follower.begun(row) else self._parts
        return [
            token
            for token in suspects[np.isfinite(logits[suspects])].tolist()
            if any(banned in end + self._follower.adds(row, token) for banned in self._texts)
        ]


class Matching:
    """Leaves only tokens after which the text can still come to match a regular expression.

    Where the text matches as it is, a newline may end it instead of continuing it. Characters that
    take several tokens are not written.
    """

    def __init__(self, pattern: str, tokenizer: Tokenizer) -> None:
        length = max(len(pattern), written_out(pattern))
        if length > LONGEST:
            raise UsageError(
                f"--regex is {length:,} characters long once its repetitions are written out, "
                f"and {LONGEST:,} is the most",
                "repeat less",
            )
        try:
            self._pattern = regex.compile(pattern)
        except (regex.error, ValueError, RecursionError) as error:
            raise UsageError(f"--regex cannot be read: {error}", "mend the pattern") from None
        self._follower = Follower(tokenizer)
        self._newline = tokenizer.newline_id

    def __call__(self, logits: Logits, context: Context) -> Logits:
        """The filter."""
        left = np.full_like(logits, OUT)
        for place, text in enumerate(self._follower.follow(context)):
            alive = np.flatnonzero(np.isfinite(logits[place]))
            kept = [token for token in alive.tolist() if self._goes(text, token)]
            if self._pattern.fullmatch(text):
                kept.append(self._newline)
            if not kept:
                raise UsageError(
                    f"no text that the model can write continues {text[-40:]!r} as --regex demands",
                    "widen the pattern, or allow its characters",
                )
            left[place, kept] = np.maximum(logits[place, kept], np.float32(-1e30))
        return left

    def _goes(self, text: str, token: int) -> bool:
        piece = self._follower.pieces[token]
        return bool(piece) and self._pattern.fullmatch(text + piece, partial=True) is not None

    def ends(self, row: int, token: int) -> bool:
        """Whether this newline is the end of the text, and not a part of it."""
        return token == self._newline and not self._goes(self._follower.texts[row], token)


def allowed(characters: str, tokenizer: Tokenizer) -> dict[int, float]:
    """A bias that rules out every token with a character that is not among these."""
    known = set(characters)
    ruled = {
        token: -np.inf
        for token, piece in enumerate(pieces(tokenizer))
        if not piece or not set(piece) <= known
    }
    if len(ruled.keys() | set(tokenizer.unsampled)) == tokenizer.vocab_size:
        raise UsageError("--allow leaves nothing to write with", "allow characters of the corpus")
    return ruled


def biases(texts: Mapping[str, float], tokenizer: Tokenizer) -> dict[int, float]:
    """Token -> amount for texts that are one token each; UsageError for one that is not."""
    found = {}
    for text, amount in texts.items():
        ids = tokenizer.encode(text)
        if len(ids) != 1:
            raise UsageError(
                f"--bias {text!r} is {len(ids)} tokens for this model", "give texts of one token"
            )
        found[int(ids[0])] = amount
    return found
