"""Messages -> conversations in the strict form, and the counts of what was read and left out.

In the strict form a turn is a line, `Name: text`. A line break inside a text is U+2028, the line
separator, so a newline always ends a turn. Messages in a row by one speaker are one turn.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from charrnn.tokenizers.base import count

LINE_BREAK = "\u2028"
"""A line break inside a turn: what Unicode has for this, and no other text that is read keeps."""

NAME_LENGTH = 60
"""Characters of a name at most."""

TEXT_LENGTH = 20_000
"""Characters of a message at most: a longer one is a pasted file and no part of a conversation."""

PAUSE = 6 * 3600.0
"""Seconds of silence after which another conversation begins."""

TURNS = 50
"""Turns of a conversation at most; a longer one is cut, so that some can be held out."""

RECORDED = 1000
"""Speakers that a checkpoint records, those with most turns."""

SHOWN = 5
"""Speakers that are named in a note."""

UNNAMED = "unknown"
"""The name of a speaker without one, such as a deleted account."""

BREAKS = re.compile("\r\n|[\n\r\x0b\x0c\x85\u2028\u2029]")

# Marks of direction, and the end of a document inside a text. Joiners (U+200C, U+200D) stay: they
# are part of words and of emoji.
INVISIBLE = re.compile("[\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\ufeff\ufdd0\ufffc]")

SURROGATES = re.compile("[\ud800-\udfff]")
"""Halves of characters, which JSON can hold and UTF-8 cannot."""

CONTROL = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Message:
    """What one person wrote. time: in seconds from any beginning; None where it is not known."""

    name: str
    text: str
    time: float | None = None


@dataclass
class ChatTally:
    """What was met in chats: counts for the notes, and who speaks."""

    messages: int = 0
    turns: int = 0
    conversations: int = 0
    speakers: Counter[str] = field(default_factory=Counter)
    first: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    forms: Counter[str] = field(default_factory=Counter)

    def answering(self) -> str:
        """Who answers if nobody is named: of the two who speak most, who begins less often."""
        # Sorted by name too, so that equal counts have one answer.
        most = sorted(self.speakers.items(), key=lambda pair: (-pair[1], pair[0]))[:2]
        names = [name for name, _ in most]
        return min(names, key=lambda name: (self.first[name], -names.index(name)), default="")

    def record(self, answers: str) -> dict[str, Any]:
        """What a checkpoint records of its speakers."""
        ranked = sorted(self.speakers.items(), key=lambda pair: (-pair[1], pair[0]))
        known = dict(ranked[:RECORDED])
        # Whoever answers has to be known, whatever the number of those who say more.
        known.setdefault(answers, self.speakers[answers])
        return {"speakers": known, "count": len(ranked), "answers": answers}

    def notes(self) -> Iterator[str]:
        """What the user should know of how the chats were read."""
        forms = ", ".join(self.forms)
        names = ", ".join(f"{name} {own:,}" for name, own in self.speakers.most_common(SHOWN))
        more = len(self.speakers) - SHOWN
        others = f" and {more:,} more" if more > 0 else ""
        yield (
            f"chat ({forms}): {count(self.messages, 'message')} in {count(self.turns, 'turn')} and "
            f"{count(self.conversations, 'conversation')}; "
            f"turns of {names}{others}"
        )
        if self.left_out:
            found = ", ".join(f"{many:,} {what}" for what, many in self.left_out.items())
            yield f"left out: {found}"


def clean_name(name: str) -> str:
    r"""A name as it is in the strict form: on one line, without a colon, not too long.

    >>> clean_name("\u202aAnn: the\n1st\u202c"), clean_name("\x00")
    ('Ann the 1st', 'unknown')
    """
    visible = SURROGATES.sub("\ufffd", CONTROL.sub(" ", INVISIBLE.sub("", name)))
    visible = visible.replace(":", " ")
    return " ".join(visible.split())[:NAME_LENGTH].strip() or UNNAMED


def clean_text(text: str) -> str:
    r"""A text as it is in the strict form: its line breaks as U+2028, nothing invisible.

    >>> clean_text("\u200eone\r\n\r\n two\x00 ")
    'one\u2028two'
    """
    lines = BREAKS.split(INVISIBLE.sub("", SURROGATES.sub("\ufffd", text)))
    kept = (CONTROL.sub("", line).strip() for line in lines)
    return LINE_BREAK.join(line for line in kept if line)


def conversations(messages: Iterable[Message | None], tally: ChatTally) -> Iterator[str]:
    """Messages, None where a conversation ends -> conversations in the strict form.

    Each turn ends in a newline. A pause ends a conversation, too, and so do TURNS turns.
    """
    turns: list[tuple[str, list[str]]] = []
    last: float | None = None
    for each in messages:
        if each is None:
            yield from _written(turns, tally)
            turns, last = [], None
            continue
        text = clean_text(each.text)
        if not text or len(text) > TEXT_LENGTH:
            what = "empty messages" if not text else f"messages of more than {TEXT_LENGTH:,} char."
            tally.left_out[what] += 1
            continue
        name = clean_name(each.name)
        paused = last is not None and each.time is not None and each.time - last > PAUSE
        if paused or (len(turns) >= TURNS and name != turns[-1][0]):
            yield from _written(turns, tally)
            turns = []
        last = each.time
        tally.messages += 1
        if turns and turns[-1][0] == name:
            turns[-1][1].append(text)
        else:
            turns.append((name, [text]))
    yield from _written(turns, tally)


def _written(turns: list[tuple[str, list[str]]], tally: ChatTally) -> Iterator[str]:
    """Turns -> their conversation, if there are any; it is counted."""
    if not turns:
        return
    tally.conversations += 1
    tally.turns += len(turns)
    tally.first[turns[0][0]] += 1
    tally.speakers.update(name for name, _ in turns)
    yield "".join(turn_line(name, LINE_BREAK.join(texts)) for name, texts in turns)


def turn_line(name: str, text: str) -> str:
    r"""A clean name and text -> the line of their turn.

    >>> turn_line("Ann", "hello")
    'Ann: hello\n'
    """
    return f"{name}: {text}\n"


def speakers_of(record: Mapping[str, Any]) -> dict[str, int]:
    """What a checkpoint records -> name -> turns, without what is no clean name or number.

    The record may be from an untrusted file.
    """
    found = record.get("speakers")
    pairs = found.items() if isinstance(found, dict) else ()
    return {
        name: turns
        for name, turns in list(pairs)[: RECORDED + 1]
        if isinstance(name, str) and type(turns) is int and clean_name(name) == name
    }
