"""WhatsApp's exports: dates of many locales, messages of the program, media, several lines."""

import pytest

from charrnn.data.chats.turns import ChatTally, Message
from charrnn.data.chats.whatsapp import is_whatsapp, messages

STAMPS = [
    ("12/31/23, 9:45 PM - ", "12/31/23, 11:45 PM - "),
    ("12/31/23, 9:45\u202fPM - ", "12/31/23, 11:45\u202fPM - "),
    ("31.12.23, 21:45 - ", "31.12.23, 23:45 - "),
    ("31/12/2023 21:45 - ", "31/12/2023 23:45 - "),
    ("31/12/2023, 9:45 p. m. - ", "31/12/2023, 11:45 p. m. - "),
    ("31/12/2023 à 21:45 - ", "31/12/2023 à 23:45 - "),
    ("31.12.2023 klo 21.45 - ", "31.12.2023 klo 23.45 - "),
    ("2023-12-31, 21:45 - ", "2023-12-31, 23:45 - "),
    ("2023/12/31 下午9:45 - ", "2023/12/31 下午11:45 - "),
    ("31. 12. 2023 21:45 - ", "31. 12. 2023 23:45 - "),
    ("٣١/١٢/٢٠٢٣، ٩:٤٥ م - ", "٣١/١٢/٢٠٢٣، ١١:٤٥ م - "),
    ("[31.12.23, 21:45:10] ", "[31.12.23, 23:45:10] "),
    ("\u200e[31/12/2023, 9:45:10 PM] ", "\u200e[31/12/2023, 11:45:10 PM] "),
    ("[2023/12/31 下午9:45:10] ", "[2023/12/31 下午11:45:10] "),
    ("[2023. 12. 31. 오후 9:45:10] ", "[2023. 12. 31. 오후 11:45:10] "),
]


def read(*lines: str) -> tuple[list[Message | None], ChatTally]:
    tally = ChatTally()
    return list(messages(iter(lines), tally)), tally


@pytest.mark.parametrize(("first", "second"), STAMPS)
def test_the_dates_of_many_locales_are_read(first: str, second: str) -> None:
    lines = [f"{first}Ann: hello", f"{second}Bob: you: there?"]
    assert is_whatsapp(lines)
    found, _ = read(*lines)
    assert [(m.name, m.text) for m in found if m] == [("Ann", "hello"), ("Bob", "you: there?")]
    times = [m.time for m in found if m and m.time is not None]
    assert times[1] - times[0] == 2 * 3600


def test_the_order_of_day_and_month_is_that_in_which_time_runs_forward() -> None:
    found, _ = read("1/2/24, 10:00 - Ann: x", "2/2/24, 10:00 - Bob: y", "3/2/24, 9:00 - Ann: z")
    times = [m.time for m in found if m and m.time is not None]
    assert times[1] - times[0] == 24 * 3600


def test_midnight_and_noon_of_a_clock_of_twelve_hours() -> None:
    found, _ = read("12/31/23, 12:10 AM - Ann: x", "12/31/23, 12:10 PM - Bob: y")
    times = [m.time for m in found if m and m.time is not None]
    assert times[1] - times[0] == 12 * 3600


def test_a_line_without_a_date_goes_on_with_the_message_before_it() -> None:
    found, _ = read(
        "31.12.23, 21:45 - Ann: one", "two: three", "", "four", "31.12.23, 21:46 - Bob: x"
    )
    assert found[0]
    assert found[0].text == "one\ntwo: three\n\nfour"


SYSTEM = [
    "31.12.23, 21:45 - Messages and calls are end-to-end encrypted.",
    '31.12.23, 21:45 - Ann changed the subject from "a" to "b: c"',
    "31.12.23, 21:45 - Ann: This message was deleted",
    "31.12.23, 21:45 - Ann: Du hast diese Nachricht gelöscht.",
    "[31.12.23, 21:45:10] Group: \u200eAnn created this group with these settings.",
]

MEDIA = [
    "31.12.23, 21:45 - Ann: <Media omitted>",
    "31.12.23, 21:45 - Ann: <Medien ausgeschlossen>",
    "31.12.23, 21:45 - Ann: <Arquivo de mídia oculto>",
    "31.12.23, 21:45 - Ann: <Без медиафайлов>",
    "31.12.23, 21:45 - Ann: \u200eIMG-20231231-WA0001.jpg (file attached)",
    "31.12.23, 21:45 - Ann: IMG-1.jpg (Datei angehängt)",
    "[31.12.23, 21:45:10] Ann: \u200eimage omitted",
    "[31.12.23, 21:45:10] Ann: \u200e<attached: 00000012-PHOTO.jpg>",
]


@pytest.mark.parametrize("line", [*SYSTEM, *MEDIA])
def test_what_the_program_wrote_and_media_are_left_out_with_a_count(line: str) -> None:
    found, tally = read(line)
    assert found == []
    assert tally.left_out == {"system messages" if line in SYSTEM else "media": 1}


def test_a_caption_below_a_file_is_a_text() -> None:
    found, tally = read("31.12.23, 21:45 - Ann: IMG-1.jpg (file attached)", "look!")
    assert found[0]
    assert found[0].text == "look!"
    assert tally.left_out["media"] == 1


def test_that_a_message_was_edited_is_no_part_of_it() -> None:
    found, _ = read("[31.12.23, 21:45:10] Ann: hello \u200e<This message was edited>")
    assert found[0]
    assert found[0].text == "hello"


def test_a_text_that_only_begins_with_a_bracket_is_a_text() -> None:
    found, _ = read("31.12.23, 21:45 - Ann: <3 you", "31.12.23, 21:46 - Bob: a > b")
    assert len(found) == 2


def test_prose_with_a_date_is_no_export() -> None:
    assert not is_whatsapp(["31.12.23, 21:45 - a diary", "It was a dark night.", "Rain fell."])
    assert not is_whatsapp(["It was 12/31/23.", "Ann: hello"])
