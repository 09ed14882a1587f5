"""Chats in JSON and CSV: Telegram's, Discord's (by DiscordChatExporter), messages with roles.

{"messages": [{"type": "message", "from": "Ann", "text": "hello"}]}           Telegram
{"channel": {}, "messages": [{"author": {"name": "ann"}, "content": "hello"}]}  Discord
AuthorID,Author,Date,Content,Attachments,Reactions                            Discord, CSV
{"messages": [{"role": "user", "content": "hello"}]}                          OpenAI, a line each
"""

import csv
import datetime
import json
from collections.abc import Iterable, Iterator
from typing import Any

from charrnn.data.chats.turns import UNNAMED, ChatTally, Message
from charrnn.errors import CorpusError

LARGEST_CELL = 1 << 24
"""Characters of a cell of CSV at most; a pasted file may be one."""

SILENT = ("system", "developer", "tool", "function")
"""Roles that nobody in a conversation hears."""

ROLES = {"human": "user", "gpt": "assistant"}
"""Names of roles in another form of the same data -> OpenAI's."""


def parsed(text: str, name: str) -> Any:
    """JSON -> its value. CorpusError if it is damaged, with where."""
    try:
        # Not strict: a line break in a string is one of the text, whoever wrote it.
        return json.loads(text.removeprefix("\ufeff"), strict=False)
    except json.JSONDecodeError as error:
        # A file that was cut ends inside of something.
        cut = error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string")
        what = "ends too early" if cut else "is damaged JSON"
        raise CorpusError(
            f"{name} {what}, in line {error.lineno:,}: {error.msg}", "export the chat again"
        ) from None
    except (RecursionError, ValueError):
        raise CorpusError(
            f"{name} is JSON that no program should have written", "export the chat again"
        ) from None


def telegram(text: str, name: str, tally: ChatTally) -> Iterator[Message | None]:
    """result.json of one chat or of all -> messages, and None between chats."""
    data = _dict(parsed(text, name))
    chats = _list(_dict(data.get("chats")).get("list")) or [data]
    for chat in chats:
        for each in map(_dict, _list(_dict(chat).get("messages"))):
            if each.get("type") != "message":
                tally.left_out["system messages"] += 1
                continue
            said = _telegram_text(each.get("text"))
            if not said.strip():
                tally.left_out["media"] += 1
                continue
            yield Message(_name(each.get("from")), said, _time(each.get("date")))
        yield None


def _telegram_text(value: Any) -> str:
    """The text of a message: a string, or a list of strings and of entities with a text."""
    parts = value if isinstance(value, list) else [value]
    texts = (part.get("text") if isinstance(part, dict) else part for part in parts)
    return "".join(text for text in texts if isinstance(text, str))


def discord(text: str, name: str, tally: ChatTally) -> Iterator[Message | None]:
    """DiscordChatExporter's JSON of a channel -> messages."""
    for each in map(_dict, _list(_dict(parsed(text, name)).get("messages"))):
        author = _dict(each.get("author"))
        said = each.get("content")
        if each.get("type", "Default") not in ("Default", "Reply", "0", "19", 0, 19):
            tally.left_out["system messages"] += 1
        elif not isinstance(said, str) or not said.strip():
            tally.left_out["media"] += 1
        else:
            speaker = _name(author.get("nickname") or author.get("name"))
            yield Message(speaker, said, _time(each.get("timestamp")))


def discord_csv(lines: Iterable[str], name: str, tally: ChatTally) -> Iterator[Message | None]:
    """DiscordChatExporter's CSV of a channel, in lines with their ends -> messages."""
    csv.field_size_limit(LARGEST_CELL)
    # NUL ends a cell for some versions of the module, and is no text.
    rows = csv.DictReader(line.replace("\0", "").removeprefix("\ufeff") for line in lines)
    try:
        for row in rows:
            said = row.get("Content") or ""
            if not said.strip():
                tally.left_out["media"] += 1
            else:
                # user#1234 is how Discord named people until 2023.
                yield Message(_name(row.get("Author")), said, _time(row.get("Date")))
    except csv.Error as error:
        raise CorpusError(
            f"{name} is damaged CSV, in line {rows.line_num:,}: {error}", "export the chat again"
        ) from None


def roles(lines: Iterable[str], name: str, tally: ChatTally) -> Iterator[Message | None]:
    """JSON lines with `messages` (role, content) each -> messages, None after each conversation.

    A list of such objects is read too, and `conversations` (from, value) for `messages`.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        value = parsed(line, f"{name}, line {number:,},")
        for conversation in value if isinstance(value, list) else [value]:
            found = _dict(conversation)
            turns = _list(found.get("messages")) or _list(found.get("conversations"))
            if not turns:
                tally.left_out["lines without messages"] += 1
            for each in map(_dict, turns):
                yield from _of_role(each, tally)
            yield None


def _of_role(each: dict[str, Any], tally: ChatTally) -> Iterator[Message]:
    role = each.get("role", each.get("from"))
    said = each.get("content", each.get("value"))
    if isinstance(said, list):
        # Parts of a message; pictures and sounds have no text.
        said = "\n".join(str(part["text"]) for part in map(_dict, said) if "text" in part)
    if role in SILENT:
        tally.left_out[f"messages of the role {role}"] += 1
    elif not isinstance(said, str) or not said.strip():
        tally.left_out["messages without text"] += 1
    else:
        yield Message(_name(ROLES.get(str(role), role)), said)


def form_of(head: str) -> str:
    """The beginning of a file -> the name of its form in `reader.FORMS`, "" if of none here."""
    head = head.removeprefix("\ufeff").lstrip()
    if head.startswith(("AuthorID,Author,Date,Content", '"AuthorID","Author"')):
        return "Discord, CSV"
    if head[:1] not in ("{", "["):
        return ""
    start = head[:4096]
    if '"guild"' in start and '"channel"' in start:
        return "Discord, JSON"
    keys = ('"messages"', '"role"'), ('"conversations"', '"from"')
    if any(all(key in start for key in pair) for pair in keys):
        return "messages with roles"
    # "about" begins the export of all chats.
    telegram_keys = ('"personal_information"', '"about"', '"messages"', '"type"')
    if head[0] == "{" and ('"type"' in start or '"about"' in start):
        found = sum(key in head for key in telegram_keys)
        return "Telegram, JSON" if found >= 2 else ""
    return ""


def _time(value: Any) -> float | None:
    """An ISO date -> seconds; None for anything else."""
    try:
        moment = datetime.datetime.fromisoformat(str(value))
    except ValueError:
        return None
    # Without its zone: the clock that people look at is the one that a pause is measured by.
    return (moment.replace(tzinfo=None) - datetime.datetime.min).total_seconds()


def _name(value: Any) -> str:
    return value if isinstance(value, str) else UNNAMED


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
