"""Only tunes whose bars add up are written, whatever tokens spell them: the constraint `--bars`."""

from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from charrnn.errors import UsageError
from charrnn.inference.bar_automaton import BarAutomaton
from charrnn.inference.bar_states import HEAD, WRONG, Where
from charrnn.inference.masks import MaskConstraint, Node
from charrnn.inference.text_tracker import token_texts
from charrnn.tokenizers import Tokenizer
from charrnn.tokenizers.documents import END

LOOKED_AT = 2000
"""Characters of a tune that are looked at, to see whether it is one."""


class BarsConstraint(MaskConstraint[Where]):
    """Leaves only tokens that go on with a tune in which every bar adds up.

    plain: whether the tunes are ABC as it is found, and not in the strict form. key, meter: those
    of the tune, "" for any. allow: the characters that may be written, None for all. UsageError if
    no tune can be written, or the prompt begins none.
    """

    name = "bars"

    whole_history = True
    """The head of the tune, from which the bars are counted, may be far behind."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        plain: bool = False,
        key: str = "",
        meter: str = "",
        allow: str | None = None,
    ) -> None:
        super().__init__(tokenizer.vocab_size)
        self._pieces = token_texts(tokenizer)
        unsampled = set(tokenizer.unsampled)
        self._sampled = [
            (token, piece)
            for token, piece in enumerate(self._pieces)
            if piece and token not in unsampled
        ]
        characters = {piece for _, piece in self._sampled if len(piece) == 1}
        # The end of a document is no character.
        known = characters if allow is None else characters & {*allow, END}
        self.automaton = BarAutomaton(known, plain, key, meter)
        if not self.automaton.rules.writes_tunes:
            if allow is not None:
                raise UsageError("--allow leaves no tune to write", "allow more characters")
            asked = f" in {' '.join(filter(None, (meter, key)))}" if key or meter else ""
            raise UsageError(
                f"this model cannot write a tune{asked}, character by character",
                "leave --bars, --key and --meter out, or train on tunes with --tokenizer char",
            )
        self._asked = bool(key or meter)

    def _enter(self, history: NDArray[np.integer]) -> Node[Where]:
        """The ids before a row's first token -> where it is. UsageError if it is in no tune."""
        node = self._node(Where())
        for token in history[history >= 0].tolist():
            node = self._next(node, token)
        if node.state.stage == WRONG:
            if self._asked:
                raise UsageError(
                    "the prompt does not begin a tune of this --key and --meter",
                    "leave them out, or the prompt",
                )
            raise UsageError(
                "the prompt does not begin a tune",
                "begin it as the model's tunes do (X:1), or add --no-bars",
            )
        return node

    def _moved(self, state: Where, token: int) -> Where:
        # Another constraint may bring back a token that this one ruled out.
        for character in self._pieces[token] or "\ufffd":
            state = self.automaton.forced(state, character)
        return state

    def _kept(self, state: Where) -> NDArray[np.bool_]:
        kept = np.zeros(self._size, bool)
        kept[[token for token, piece in self._sampled if self._fits(state, piece)]] = True
        return kept

    def _refuse(self, state: Where) -> NoReturn:
        raise UsageError(
            "--bars leaves nothing to write that the other constraints allow",
            "leave out another constraint, or add --no-bars",
        )

    def _fits(self, state: Where, piece: str) -> bool:
        after: Where | None = state
        for character in piece:
            if after is None or not self.automaton.rules.can_write(character):
                return False
            after = self.automaton.step(after, character)
        return after is not None


def looks_like_abc(text: str) -> bool:
    r"""Whether a text is tunes in ABC: heads from X: to K:, and bars that can be read.

    >>> looks_like_abc("X:1\nM:2/4\nK:G\nABcd|e4|\n"), looks_like_abc("Once upon a time.\n")
    (True, False)
    """
    automaton, read = BarAutomaton(plain=True), 0
    for tune in text.split("X:")[1:]:
        state = automaton.read(("X:" + tune)[:LOOKED_AT].rstrip() + "\n")
        read += state.stage not in (HEAD, WRONG)
    return read > 0 and 2 * read >= text.count("\nX:") + text.startswith("X:")
