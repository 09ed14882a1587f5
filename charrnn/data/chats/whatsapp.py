"""WhatsApp's text exports: lines of a date, a name and a text, in the form of the phone's language.

    12/31/23, 9:45 PM - Ann: hello          Android
    [31.12.23, 21:45:10] Ann: hello         iOS

A line without a date goes on with the message before it. Messages of the program itself (who came
and went, calls, encryption) have no name, or begin with a left-to-right mark.
"""

import datetime
import itertools
import re
from collections.abc import Iterator

from charrnn.data.chats.turns import NAME_LENGTH, ChatTally, Message

# \d is any script's digit, and int() reads them all.
_DATE = r"(?P<a>\d{1,4})(?:[./\-年]|\. )\s?(?P<b>\d{1,2})(?:[./\-月]|\. )\s?(?P<c>\d{1,4})[.日]?"
_CLOCK = r"(?P<hour>\d{1,2})[:.](?P<minute>\d{2})(?:[:.]\d{2})?"
_MARKS = "[\u200e\u200f\u202a-\u202e\ufeff]*"

HEADERS = (
    re.compile(
        rf"{_MARKS}\[{_DATE}[,،]?\s(?P<before>[^\d\]]{{0,12}}?){_CLOCK}"
        rf"(?P<after>[^\d\]]{{0,16}})\]\s(?P<rest>.*)"
    ),
    re.compile(
        rf"{_MARKS}{_DATE}[,،]?\s(?P<before>[^\d\-–]{{0,12}}?){_CLOCK}"
        rf"(?P<after>[^\d\-–:]{{0,16}}?)\s?[-–]\s(?P<rest>.*)"
    ),
)
"""A message's first line on iOS and on Android."""

AFTERNOON = re.compile(
    r"p\.?\s?m|下午|晚上|午後|오후|μ\.?\s?μ|^م|ب\.?ظ|^пп|ÖS|अपराह्न|odp|du\b", re.IGNORECASE
)
"""Words next to an hour from noon on."""

MORNING = re.compile(r"a\.?\s?m|上午|凌晨|午前|오전|π\.?\s?μ|^ص|ق\.?ظ", re.IGNORECASE)
"""Words next to an hour before noon, of which 12 is the first."""

MARK = "\u200e"
"""With it begins what WhatsApp itself has written."""

PLACEHOLDER = re.compile(r"<[^<>]{3,60}>|null")
"""`<Media omitted>` in any language: a text that is nothing else."""

ATTACHED = re.compile(r"\S[^\n]{0,120}\.\w{2,5} \([^()\n]{3,40}\)|<[^<>\n]{2,20}: [^<>\n]+>")
"""`IMG-1.jpg (file attached)`, and `<attached: 1.jpg>`, in any language."""

EDITED = re.compile(rf"\s?{MARK}?<[^<>\n]{{3,60}}>\s*\Z")
"""`<This message was edited>` at the end."""

SYSTEM = re.compile(
    "(?:"
    + "|".join(
        (
            r"this message was deleted", r"you deleted this message",
            r"missed (?:voice|video) call",
            r"diese nachricht wurde gelöscht", r"du hast diese nachricht gelöscht",
            r"se eliminó este mensaje", r"eliminaste este mensaje", r"este mensaje fue eliminado",
            r"ce message a été supprimé", r"vous avez supprimé ce message",
            r"questo messaggio è stato eliminato", r"hai eliminato questo messaggio",
            r"(?:essa )?mensagem (?:foi )?apagada", r"você apagou esta mensagem",
            r"dit bericht (?:is|werd) verwijderd", r"данное сообщение удалено", r"bu mesaj silindi",
            r"wiadomość została usunięta", r"waiting for this message.*",
        )
    )
    + r")\.?",
    re.IGNORECASE,
)  # fmt: skip
"""What a deleted message and a missed call leave on Android, where they have a name and no mark."""


def header(line: str) -> re.Match[str] | None:
    """A line -> its date, clock and rest, if it is the first of a message."""
    return next((found for each in HEADERS if (found := each.match(line))), None)


def messages(lines: Iterator[str], tally: ChatTally) -> Iterator[Message | None]:
    """Lines without their ends -> messages with the seconds of their time."""
    entries: list[tuple[re.Match[str], list[str]]] = []
    for line in lines:
        if found := header(line):
            entries.append((found, [found["rest"]]))
        elif entries:
            entries[-1][1].append(line)
        elif line.strip():
            tally.left_out["lines before the first turn"] += 1
    order = _order([found for found, _ in entries])
    for found, texts in entries:
        name, colon, text = "\n".join(texts).partition(":")
        # A notice quotes what it tells of: Ann changed the subject from "a" to "b: c".
        named = colon and len(name) <= NAME_LENGTH + 20 and not set('"“”„«\n') & set(name)
        text = text.removeprefix(" ")
        if not named or text[:1] == MARK or SYSTEM.fullmatch(text.strip()):
            media = named and not SYSTEM.fullmatch(text.strip(f"{MARK} \n")) and _is_media(text)
            tally.left_out["media" if media else "system messages"] += 1
            continue
        text = EDITED.sub("", text) if MARK in text else text
        if PLACEHOLDER.fullmatch(text.strip()):
            tally.left_out["media"] += 1
            continue
        first, _, caption = text.partition("\n")
        if ATTACHED.fullmatch(first.strip(f"{MARK} ")):
            tally.left_out["media"] += 1
            text = caption
            if not text.strip():
                continue
        yield Message(name, text, _seconds(found, order))


def _is_media(text: str) -> bool:
    """Whether a text with a mark replaces a file: `image omitted`, `<attached: 1.jpg>`."""
    text = text.strip(f"{MARK} \n")
    # In every language two or three short words, without the end of a sentence.
    return bool(ATTACHED.fullmatch(text)) or (len(text.split()) <= 4 and text[-1:] not in (".", ""))


def _order(found: list[re.Match[str]]) -> str:
    """All dates of a log -> which of its numbers is the year, the month, the day: "dmy"."""

    def cost(order: str) -> int:
        times = [_seconds(each, order) for each in found]
        wrong = sum(time is None for time in times)
        known = [time for time in times if time is not None]
        return wrong + sum(b < a for a, b in itertools.pairwise(known))

    # In the right order no date is impossible, and none is before the one above it.
    return min(("dmy", "mdy", "ymd"), key=cost)


def _seconds(found: re.Match[str], order: str) -> float | None:
    """A header -> seconds since the year 1; None if it is no date in this order."""
    number = {part: int(found[key]) for part, key in zip(order, "abc", strict=True)}
    year, hour = number["y"], int(found["hour"])
    near = f"{found['before']} {found['after']}".strip()
    if AFTERNOON.search(near):
        hour = hour % 12 + 12
    elif near and hour == 12 and MORNING.search(near):
        hour = 0
    try:
        moment = datetime.datetime(
            year if year > 99 else 2000 + year, number["m"], number["d"], hour, int(found["minute"])
        )
    except ValueError:
        return None
    return (moment - datetime.datetime.min).total_seconds()


def is_whatsapp(lines: list[str]) -> bool:
    """Whether the first lines of a file are of an export."""
    written = [line for line in lines if line.strip()][:50]
    headed = [found for line in written if (found := header(line))]
    # The first line always is a message; one alone could be a line of a diary.
    return len(headed) >= 2 and bool(header(written[0])) and any(":" in f["rest"] for f in headed)
