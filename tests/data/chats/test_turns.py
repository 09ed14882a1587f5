"""The strict form: names, texts, turns, conversations, counts."""

from charrnn.data.chats.turns import (
    LINE_BREAK,
    TEXT_LENGTH,
    TURNS,
    ChatTally,
    Message,
    clean_name,
    clean_text,
    conversations,
    speakers_of,
)


def read(*messages: Message | None) -> tuple[list[str], ChatTally]:
    tally = ChatTally()
    return list(conversations(messages, tally)), tally


def test_messages_in_a_row_by_one_speaker_are_one_turn_with_line_breaks() -> None:
    found, tally = read(Message("Ann", "one\ntwo"), Message("Ann", "three"), Message("Bob", "four"))
    assert found == [f"Ann: one{LINE_BREAK}two{LINE_BREAK}three\nBob: four\n"]
    assert (tally.messages, tally.turns, tally.conversations) == (3, 2, 1)


def test_a_long_pause_begins_another_conversation_and_a_step_back_in_time_does_not() -> None:
    hour = 3600.0
    times = [0, 5 * hour, 12 * hour, 0]
    names = ["Ann", "Bob", "Ann", "Bob"]
    found, _ = read(*(Message(n, "x", t) for n, t in zip(names, times, strict=True)))
    assert found == ["Ann: x\nBob: x\n", "Ann: x\nBob: x\n"]


def test_a_long_conversation_is_cut_between_turns() -> None:
    found, _ = read(*(Message("AB"[i % 2], "x") for i in range(2 * TURNS + 1)))
    assert [each.count("\n") for each in found] == [TURNS, TURNS, 1]


def test_empty_and_huge_messages_are_left_out_with_a_count() -> None:
    huge = "x" * (TEXT_LENGTH + 1)
    found, tally = read(Message("Ann", "\u200e \n"), Message("Ann", huge), Message("Bob", "y"))
    assert found == ["Bob: y\n"]
    assert sum(tally.left_out.values()) == 2


def test_no_name_or_text_can_write_a_line_of_its_own() -> None:
    odd = "a:\nB: x\r\u2029C:\x00\x1b[31m\u202e\ufdd0\ud800"
    found, _ = read(Message(odd, odd))
    assert found[0].count("\n") == 1
    assert found[0].endswith("\n")
    name, _, text = found[0].partition(": ")
    assert name == clean_name(name)
    assert ":" not in name
    assert not set("\x00\x1b\u202e\ufdd0\ud800\r\u2029") & set(name + text)


def test_joiners_of_words_and_emoji_stay() -> None:
    assert clean_text("می\u200cخواهم 👩\u200d💻") == "می\u200cخواهم 👩\u200d💻"


def test_who_answers_is_the_one_of_two_who_begins_less_often() -> None:
    _, tally = read(
        Message("Ann", "x"), Message("Bob", "y"), None, Message("Ann", "x"), Message("Bob", "y")
    )
    assert tally.answering() == "Bob"
    assert tally.record("Bob") == {"speakers": {"Ann": 2, "Bob": 2}, "count": 2, "answers": "Bob"}


def test_a_record_of_a_million_speakers_stays_small_and_knows_who_answers() -> None:
    tally = ChatTally()
    tally.speakers.update({f"n{i}": 2 for i in range(10_000)})
    tally.speakers["Zoe"] = 1
    record = tally.record("Zoe")
    assert len(record["speakers"]) == 1001
    assert record["count"] == 10_001
    assert len(next(iter(tally.notes()))) < 300


def test_of_an_untrusted_record_only_clean_names_are_taken() -> None:
    odd = {"speakers": {"Ann": 3, "a\nb": 1, "c:": 1, "Bob": "2", "": 4}}
    assert speakers_of(odd) == {"Ann": 3}
    assert speakers_of({"speakers": ["Ann"]}) == {} == speakers_of({})
