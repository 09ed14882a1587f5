"""The beginning of a file -> the form of its chat; a file -> its conversations."""

import itertools
import json
from collections.abc import Iterable, Iterator

from charrnn.data.chats import exports, plain, whatsapp
from charrnn.data.chats.turns import ChatTally, Message, conversations
from charrnn.errors import CorpusError

PLAIN = "Name: text"

WHATSAPP = "WhatsApp"

HEAD = 1 << 16
"""Characters of a file that its form is recognized by."""


def form_of(head: str) -> str:
    r"""The beginning of a file -> the form that it plainly has; "" if it may be any text.

    >>> form_of("[31.12.23, 21:45:10] Ann: hi\n[31.12.23, 21:45:20] Bob: hello\n")
    'WhatsApp'
    """
    # The last line may have been cut.
    lines = head.replace("\r\n", "\n").split("\n")
    whole = lines[:-1] if len(lines) > 1 else lines
    if whatsapp.is_whatsapp(whole):
        return WHATSAPP
    return exports.form_of(head) or (PLAIN if plain.is_plain(whole) else "")


def read(lines: Iterable[str], name: str, tally: ChatTally) -> Iterator[str]:
    """A file's lines with their ends, and its name -> conversations in the strict form.

    What no other form has is read as lines of `Name: text`. CorpusError for a damaged export.
    """
    lines = iter(lines)
    head, size = list[str](), 0
    for line in lines:
        head.append(line)
        size += len(line)
        if size >= HEAD:
            break
    form = form_of("".join(head)[:HEAD]) or PLAIN
    tally.forms[form] += 1
    yield from conversations(_messages(form, itertools.chain(head, lines), name, tally), tally)


def _messages(
    form: str, lines: Iterator[str], name: str, tally: ChatTally
) -> Iterator[Message | None]:
    """A form and the lines of a file -> its messages, None where a conversation ends."""
    if form == "Telegram, JSON":
        return exports.telegram("".join(lines), name, tally)
    if form == "Discord, JSON":
        return exports.discord("".join(lines), name, tally)
    if form == "Discord, CSV":
        return exports.discord_csv(lines, name, tally)
    if form == "messages with roles":
        return exports.roles(_values(lines), name, tally)
    ended = (line.removesuffix("\n").removesuffix("\r") for line in lines)
    return whatsapp.messages(ended, tally) if form == WHATSAPP else plain.messages(ended, tally)


def _values(lines: Iterator[str]) -> Iterator[str]:
    """Lines of JSON -> its values: each line, or all together where they are one value."""
    first = next((line for line in lines if line.strip()), "")
    try:
        json.loads(first.removeprefix("\ufeff"), strict=False)
    except (ValueError, RecursionError):
        return iter(["".join([first, *lines])])
    return itertools.chain([first], lines)


def check(tally: ChatTally, name: str) -> None:
    """CorpusError for a chat in which nobody answers."""
    if not tally.turns:
        raise CorpusError(
            f"{name} has no turn of a conversation",
            "give lines of Name: text, or an export that docs/chat.md names",
        )
    if len(tally.speakers) < 2:
        (speaker,) = tally.speakers
        raise CorpusError(
            f"{name} has one speaker, {speaker[:40]!a}, and nobody answers",
            "give a chat of two, or train it as a text with --no-chat",
        )
