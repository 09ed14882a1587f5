"""Whether the bars of a tune add up, character by character: the automaton of `--bars`.

It reads ABC in the strict form of `data.tunes`, or in a plain one, where spaces, line breaks and
more fields may be between. Time is counted in ticks of 1/48 of the unit L:, which every length
of the strict form is a multiple of, also within a tuplet. No state is a dead end: a length is left
only if what is then left of the bar can be filled. A bar that the line of a section parts adds up
with what is behind the line, or with what is played after it where it is repeated.
"""

import functools
from collections.abc import Iterable

from charrnn.data.tunes.fields import default_unit
from charrnn.data.tunes.score import BARS, TUPLETS, Meter
from charrnn.inference.bar_lengths import (
    LOWER,
    TICKS,
    UPPER,
    Rules,
    beginnings,
    ticks_of,
)
from charrnn.inference.bar_states import (
    CLOSED,
    DONE,
    HEAD,
    LOST,
    MUSIC,
    OPEN,
    SECTION,
    SIGNS,
    UNKNOWN,
    WRONG,
    Where,
)
from charrnn.tokenizers.documents import END

LAST = ("|", "||", "|]", ":|")
"""Lines that a tune may end with."""

OUT_OF_TURN = {(OPEN, "|:"), (OPEN, "||"), (OPEN, "|]"), (CLOSED, "::")}
"""Lines that do not go with a repeat: `||` in one would leave it open, where the tune ends."""

BEGIN = "|:[(12"
"""What lines, changes and tuplets begin with."""

CHORDS = 2
"""Chord symbols over a note at most."""

OCTAVES = 2
"""Marks of an octave at most."""

BODY = frozenset(LOWER + UPPER + "z0123456789/,'^_=-()|:[]\"")
"""What may be written in a bar that cannot be counted."""


class BarAutomaton:
    r"""States of a tune in which every bar adds up.

    characters: those that can be written. plain: spaces, line breaks, more fields. key, meter:
    what K: and M: have to be, "" for any.

    >>> automaton = BarAutomaton()
    >>> state = automaton.read("X:1\nM:2/4\nL:1/8\nK:G\nA4|A2B2")
    >>> [each for each in "A23/|z" if automaton.step(state, each)]
    ['|']
    """

    def __init__(
        self,
        characters: Iterable[str] | None = None,
        plain: bool = False,
        key: str = "",
        meter: str = "",
    ) -> None:
        self.plain = plain
        self.rules = Rules(characters, plain, key, meter)
        self._filling = self.rules.filling

    # The text as a whole

    def read(self, text: str) -> Where:
        """Any text -> the state after it; a bar that is not understood is not counted."""
        state = Where()
        for character in text:
            state = self.forced(state, character)
        return state

    def forced(self, state: Where, character: str) -> Where:
        """The state after any character, also one that may not be written."""
        if character == END:
            return Where()
        found = self.step(state, character)
        if found is not None:
            return found
        is_break = self.plain and character == "\n"
        if is_break and (state == Where(lines=-1) or (state.stage == LOST and state.blank)):
            # A blank line ends a tune, whatever was in it.
            return Where(lines=-1)
        if state.stage in (HEAD, WRONG) or not state.wanted:
            return Where(WRONG)
        # What follows a bar line can be counted again.
        if character == "|":
            full = self._emptied(state)._replace(now=state.wanted, opening=False, after="note")
            return full._replace(stage=MUSIC, text="|")
        lost = self._emptied(state)._replace(stage=LOST, blank=is_break)
        return lost._replace(repeat=UNKNOWN, repeated=0) if character == ":" else lost

    def _emptied(self, state: Where) -> Where:
        """The state without what has begun."""
        return state._replace(
            text="", now=0, left=0, tuplet=0, chords=0, tied="", note="", digits="",
            ending=0, blank=False,
        )  # fmt: skip

    def step(self, state: Where, character: str) -> Where | None:
        """A state and a character -> the state after it; None where it may not be written."""
        match state.stage:
            case "head":
                return self._in_head(state, character)
            case "music":
                return self._in_music(state, character)
            case "lost":
                return self._in_lost(state, character)
            case "done":
                return self._behind(state, character)
        return None

    def _in_lost(self, state: Where, character: str) -> Where | None:
        if character == "|":
            return state._replace(
                stage=MUSIC, text="|", now=state.wanted, opening=False, after="note"
            )
        if character == ":":
            return state._replace(repeat=UNKNOWN, repeated=0)
        return state if character in BODY or (self.plain and character == " ") else None

    def _behind(self, state: Where, character: str) -> Where | None:
        """After the newline that ends the music."""
        if character == END:
            return Where()
        if not self.plain:
            return None
        if character == "\n":
            return Where(lines=-1)
        return self._in_music(state._replace(stage=MUSIC), character)

    # The head

    def _in_head(self, state: Where, character: str) -> Where | None:
        text = state.text + character
        if character != "\n":
            if any(text in beginnings(lines) for lines in self._lines(state)):
                return state._replace(text=text)
            # Of a title there is no more to know than that it is one.
            return state._replace(text=text[:2]) if self._is_free(state, text) else None
        if not state.text:
            # A text may begin with blank lines.
            return state if self.plain and state.lines == 0 else None
        if any(state.text in lines for lines in self._lines(state)):
            return self._after_line(state)
        is_field = len(state.text) > 1 and self._is_free(state, state.text)
        return state._replace(text="") if is_field else None

    def _lines(self, state: Where) -> list[tuple[str, ...]]:
        """What a line of the head may be."""
        names = "XMLK"[state.lines] if not self.plain else ("MLK" if state.lines > 0 else "X")
        return [self.rules.fields(state.meter, state.whole, name) for name in names]

    def _is_free(self, state: Where, text: str) -> bool:
        """Whether a line of the head may be anything: a title, say."""
        is_field = text[0].isascii() and text[0].isalpha() and text[0] not in "XMLKVw"
        begins = is_field and text[1:2] in ("", ":") and text[-1] != END
        return self.plain and state.lines > 0 and begins

    def _after_line(self, state: Where) -> Where:
        name, value = state.text[0], state.text[2:]
        state = state._replace(text="", lines=max(state.lines, 0) + 1)
        if name == "M":
            found = self.rules.meters[value]
            return state._replace(meter=(found.beats, found.unit))
        if name == "L":
            return state._replace(whole=TICKS * int(value[2:]))
        if name != "K":
            return state
        whole = state.whole or TICKS * default_unit(Meter(*state.meter)).denominator
        wanted = ticks_of(Meter(*state.meter), whole // TICKS)
        return Where(MUSIC, whole=whole, wanted=wanted)

    # The music

    def _in_music(self, state: Where, character: str) -> Where | None:
        if state.note:
            return self._in_note(state, character)
        if state.text:
            return self._in_token(state, character)
        return self._between(state, character)

    # After every note of a length the same may follow.
    @functools.lru_cache(maxsize=1 << 16)  # noqa: B019 - there is one for each model
    def _between(self, state: Where, character: str) -> Where | None:
        """A token begins."""
        if character in ("\n", END):
            return self._ended(state, character)
        if character == " ":
            free = self.plain and not state.blank
            return state._replace(blank=True) if free else None
        state = state._replace(blank=False)
        if state.ending == 2:
            return self._token(state, character, self._tokens(state))
        rest = state.wanted - state.now
        if rest > 0 and self._filling.allowed(rest, state.tuplet, state.left)[0]:
            if character in SIGNS:
                return self._sign(state, character)
            if character in LOWER + UPPER:
                return self._letter(state, character)
            if character == "z" and not state.tied:
                return state._replace(note="z", chords=0)
            if character == '"' and state.chords < CHORDS and self.rules.chords:
                return state._replace(text='"')
        if character not in BEGIN:
            return None
        return self._token(state, character, self._tokens(state))

    def _sign(self, state: Where, text: str) -> Where | None:
        """An accidental: a tied note has its own again in the next bar, and none in the same."""
        due = state.sign_due
        return state._replace(text=text) if not state.tied or due.startswith(text) else None

    def _letter(self, state: Where, character: str) -> Where | None:
        if state.tied and state.sign_due + character != state.text + state.tied_name[0]:
            return None
        return state._replace(note=character, chords=0)

    def _in_note(self, state: Where, character: str) -> Where | None:
        """After the letter of a note: octave, length, tie, or what comes next."""
        note, mark = state.note, "'" if state.note[0] in LOWER else ","
        if character == mark and not state.digits and note != "z" and len(note) <= OCTAVES:
            fits = not state.tied or state.tied_name.startswith(note + mark)
            return state._replace(note=note + mark) if fits else None
        if state.tied and note != state.tied_name:
            return None
        lengths, begun = self._filling.allowed(state.wanted - state.now, state.tuplet, state.left)
        if state.digits + character in begun:
            return state._replace(digits=state.digits + character)
        if state.digits not in lengths:
            return None
        taken = self._filling.ticks(state.digits, state.tuplet, state.left)
        left = max(0, state.left - 1)
        ended = state._replace(
            text="", now=state.now + taken, left=left, tuplet=state.tuplet if left else 0, note="",
            digits="", tied="", after="note",
        )  # fmt: skip
        if character == "-":
            return ended._replace(tied=state.text + note) if note != "z" else None
        return self._between(ended, character)

    def _ended(self, state: Where, character: str) -> Where | None:
        """A newline, or the end of the document."""
        whole = state.after in LAST and state.repeat != OPEN and state.ending not in (1, 2)
        if state.tied or state.chords or not whole:
            return None
        return Where() if character == END else state._replace(stage=DONE, blank=False)

    @functools.lru_cache(maxsize=1 << 12)  # noqa: B019 - there is one for each model
    def _tokens(self, state: Where) -> tuple[str, ...]:
        """Lines, changes and tuplets that may begin, as they are written."""
        if state.left:
            return ()
        found = [
            each for each in self.rules.marks if not state.chords and self._may_mark(state, each)
        ]
        if self.plain:
            found += [each[1] for each in found if each[0] == "["]
        rest = state.wanted - state.now
        if not state.tied and rest > 0 and state.ending != 2:
            found += [
                f"({count}"
                for count in TUPLETS
                if self.rules.can_write(f"({count}") and self._filling.ends_well(count, count, rest)
            ]
        is_free = not state.tied and not state.chords and state.ending != 2
        if is_free and state.after in (*BARS[:6], "[M"):
            found += self.rules.changes(state.whole, state.after == "[M")
        return tuple(found)

    def _may_mark(self, state: Where, mark: str) -> bool:
        """Whether a bar line or ending may come here."""
        if mark == "[1":
            begun = state.after == "|" and not state.ending and not state.tied
            return begun and state.repeat != CLOSED
        if mark == "[2":
            return state.ending == 2
        if state.ending == 2 or (state.repeat, mark) in OUT_OF_TURN:
            return False
        if state.after != "note":
            # A repeat begins where the tune does, and behind a change.
            return mark == "|:" and not state.ending and state.after in ("start", "[M", "[K")
        full = state.now == state.wanted
        short = state.opening and state.now < state.wanted
        if mark == "|":
            return full or short
        if state.tied or (state.ending == 1 and mark != ":|"):
            return False
        if mark in (":|", "::"):
            return state.now + state.repeated == state.wanted
        # Where notes were in front of a line, a model soon takes every bar for one with a line.
        completes = state.full >= SECTION and state.now + state.pickup == state.wanted
        # The first notes of a tune may be before its first section.
        return full or completes or (mark == "|:" and short)

    def _token(self, state: Where, character: str, tokens: tuple[str, ...]) -> Where | None:
        """A line, change or tuplet begins, or goes on."""
        text = state.text + character
        if text not in beginnings(tokens):
            return None
        longer = any(each.startswith(text) and each != text for each in tokens)
        if text in tokens and not longer:
            return self._after_token(state._replace(text=""), text)
        return state._replace(text=text)

    def _in_token(self, state: Where, character: str) -> Where | None:
        """In an accidental, a chord symbol, or a token of `_tokens`."""
        text = state.text
        if text[0] in SIGNS:
            if character in LOWER + UPPER:
                return self._letter(state, character)
            return self._sign(state, 2 * text) if text in "^_" and character == text else None
        if text[0] == '"':
            return self._in_chord(state, character)
        before = state._replace(text="")
        tokens = self._tokens(before)
        found = self._token(state, character, tokens)
        if found is None and text in tokens:
            return self._between(self._after_token(before, text), character)
        return found

    def _in_chord(self, state: Where, character: str) -> Where | None:
        """In a chord symbol: root, sign, kind, and a bass after a slash."""
        root, slash, bass = state.text[1:].partition("/")
        name, names = (bass, self.rules.basses) if slash else (root, self.rules.chords)
        if character == '"':
            return state._replace(text="", chords=state.chords + 1) if name in names else None
        if character == "/":
            fits = not slash and name in names
        else:
            fits = name + character in beginnings(names)
        return state._replace(text=state.text + character) if fits else None

    def _after_token(self, state: Where, text: str) -> Where:
        """The state after a whole line, change or tuplet."""
        if text in "12":
            text = "[" + text
        if text[0] == "(":
            return state._replace(tuplet=int(text[1]), left=int(text[1]))
        if text.startswith("[M:"):
            wanted = ticks_of(self.rules.meters[text[3:-1]], state.whole // TICKS)
            # What a line has parted from its bar stays due, if it is less than a bar.
            due = state.wanted - state.now if state.now else 0
            now = wanted - due if 0 < due < wanted else 0
            return state._replace(wanted=wanted, now=now, after="[M")
        if text.startswith("[K:"):
            return state._replace(after="[K")
        return self._after_line_mark(state, text)

    def _after_line_mark(self, state: Where, mark: str) -> Where:
        """The state after a bar line or the number of an ending."""
        due = state.wanted - state.now if state.now else 0
        if not state.now and state.opening:
            # With the tune begins what is repeated: its first bar may still be short.
            return state._replace(after=mark, repeat=OPEN)
        if mark in ("[1", "[2"):
            repeated = state.repeated if mark == "[1" else 0
            ending = 1 if mark == "[1" else 3
            return state._replace(after=mark, now=0, repeated=repeated, ending=ending)
        opening, state = state.opening, state._replace(after=mark, opening=False)
        if mark == "|":
            short = state.now if due else 0
            return state._replace(
                now=0,
                full=min(SECTION, state.full + (not short)),
                pickup=short if opening else state.pickup,
                repeated=short if opening else state.repeated,
            )
        closed = mark == ":|" and state.ending == 1
        state = state._replace(ending=2 if closed else 0)
        if mark in ("|:", "::"):
            state = state._replace(repeat=OPEN)
        elif mark == ":|":
            state = state._replace(repeat=CLOSED)
        if opening and due:
            # Notes before the first section are no part of it.
            return state._replace(now=0, full=0, pickup=state.now, repeated=0)
        repeated = due if ":" in mark else state.repeated
        now = state.now if due else 0
        return state._replace(now=now, full=0, pickup=due, repeated=repeated)
