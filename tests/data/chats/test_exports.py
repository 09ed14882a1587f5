"""Telegram, Discord, messages with roles: as they are written, and damaged."""

import io
import json
from typing import Any

import pytest

from charrnn.data.chats import reader
from charrnn.data.chats.turns import ChatTally
from charrnn.errors import CorpusError

TELEGRAM = {
    "name": "Ann", "type": "personal_chat", "id": 1,
    "messages": [
        {"id": 1, "type": "service", "date": "2023-12-31T21:45:00", "action": "phone_call"},
        {"id": 2, "type": "message", "date": "2023-12-31T21:45:10", "from": "Ann", "text": "hi"},
        {"id": 3, "type": "message", "date": "2023-12-31T21:46:00", "from": "Bob",
         "text": ["see ", {"type": "link", "text": "example.org"}, " there"]},
        {"id": 4, "type": "message", "date": "2023-12-31T21:47:00", "from": None, "text": "gone"},
        {"id": 5, "type": "message", "date": "2023-12-31T21:48:00", "from": "Bob", "text": "",
         "photo": "photo.jpg"},
        {"id": 6, "type": "message", "date": "2024-01-01T21:48:00", "from": "Bob", "text": "late"},
    ],
}  # fmt: skip

DISCORD = {
    "guild": {"id": "1", "name": "g"}, "channel": {"id": "2", "name": "c"},
    "messages": [
        {"id": "1", "type": "Default", "timestamp": "2023-12-31T21:45:10.123+00:00",
         "content": "hi", "author": {"name": "ann", "nickname": "Ann", "isBot": False}},
        {"id": "2", "type": "Reply", "timestamp": "2023-12-31T21:46:10+00:00", "content": "hello",
         "author": {"name": "bob", "nickname": None}},
        {"id": "3", "type": "GuildMemberJoin", "content": "Joined.", "author": {"name": "x"}},
        {"id": "4", "type": "Default", "content": "", "attachments": [{}], "author": {"name": "x"}},
    ],
}  # fmt: skip

CSV = (
    "AuthorID,Author,Date,Content,Attachments,Reactions\r\n"
    '"1","ann#0","2023-12-31T21:45:10.0000000+00:00","hi, ""you""\nthere","",""\r\n'
    '"2","bob","2023-12-31T21:46:10.0000000+00:00","","a.png",""\r\n'
    '"2","bob","2023-12-31T21:46:20.0000000+00:00","hello","",""\r\n'
)

ROLES: list[dict[str, Any]] = [
    {"messages": [
        {"role": "system", "content": "Be kind."}, {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [{"type": "text", "text": "hello"}, {"type": "image"}]},
        {"role": "tool", "content": "42"}, {"role": "assistant", "content": None}]},
    {"messages": [{"role": "user", "content": "one\ntwo"}, {"role": "assistant", "content": "x"}]},
]  # fmt: skip


def read(text: str) -> tuple[list[str], ChatTally]:
    tally = ChatTally()
    return list(reader.read(io.StringIO(text, newline="\n"), "chat", tally)), tally


@pytest.mark.parametrize("indent", [None, 1])
def test_telegram_with_texts_of_parts_service_messages_and_media(indent: int | None) -> None:
    found, tally = read(json.dumps(TELEGRAM, indent=indent))
    assert found == ["Ann: hi\nBob: see example.org there\nunknown: gone\n", "Bob: late\n"]
    assert tally.left_out == {"system messages": 1, "media": 1}


def test_telegrams_export_of_all_chats_is_read_chat_by_chat() -> None:
    whole = {"about": "Here is the data", "chats": {"about": "x", "list": [TELEGRAM, TELEGRAM]}}
    assert len(read(json.dumps(whole, indent=1))[0]) == 4


@pytest.mark.parametrize("indent", [None, 2])
def test_discord_as_json(indent: int | None) -> None:
    found, tally = read(json.dumps(DISCORD, indent=indent))
    assert found == ["Ann: hi\nbob: hello\n"]
    assert tally.left_out == {"system messages": 1, "media": 1}


def test_discord_as_csv_with_a_line_break_and_quotes_in_a_cell() -> None:
    found, tally = read(CSV)
    assert found == ['ann#0: hi, "you"\u2028there\nbob: hello\n']
    assert tally.left_out == {"media": 1}


def as_lines(conversations: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(each) + "\n" for each in conversations)


@pytest.mark.parametrize(
    "text",
    [as_lines(ROLES), json.dumps(ROLES), json.dumps(ROLES, indent=2), "\n" + as_lines(ROLES)],
)
def test_messages_with_roles_as_lines_and_as_one_list(text: str) -> None:
    found, tally = read(text)
    assert found == ["user: hi\nassistant: hello\n", "user: one\u2028two\nassistant: x\n"]
    assert sum(tally.left_out.values()) == 3


def test_the_other_names_of_roles() -> None:
    one = {"conversations": [{"from": "human", "value": "hi"}, {"from": "gpt", "value": "yes"}]}
    assert read(json.dumps(one) + "\n")[0] == ["user: hi\nassistant: yes\n"]


@pytest.mark.parametrize("data", [TELEGRAM, DISCORD, ROLES])
def test_a_file_that_was_cut_is_one_line_that_says_so(data: Any) -> None:
    text = json.dumps(data, indent=1)
    with pytest.raises(CorpusError, match="ends too early, in line"):
        read(text[: int(0.8 * len(text))])


def test_damaged_json_and_json_that_is_too_deep_are_one_line() -> None:
    with pytest.raises(CorpusError, match="is damaged JSON, in line 2"):
        read('{"messages": [{"type": "message",\n oops "text": "hi"}]}')
    with pytest.raises(CorpusError, match="no program should have written"):
        read('{"type": "x", "messages": ' + "[" * 200_000)


@pytest.mark.parametrize(
    "messages", [None, 3, {}, [None, 3, [], "x", {"type": "message", "from": 3, "text": {"a": 1}}]]
)
def test_values_of_other_types_are_left_out(messages: Any) -> None:
    assert read(json.dumps({"type": "personal_chat", "messages": messages}))[0] == []
