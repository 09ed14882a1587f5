"""A conversation: the state is carried, a reply is one turn, what was said can be taken back."""

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from charrnn.data.chats.turns import LINE_BREAK
from charrnn.errors import UsageError
from charrnn.inference.engine import State
from charrnn.tasks.language.chat import Chat
from charrnn.tasks.language.language_model import LanguageModel
from tests.support.chats import chat_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    """A model of characters; replies of it are noise."""
    return chat_model(tmp_path_factory.mktemp("chat"))


class Wishes:
    """Wants to write one text again and again, whatever was read."""

    def __init__(self, model: LanguageModel, wish: str) -> None:
        self.ids = model.tokenizer.encode(wish).tolist()
        self.size = model.tokenizer.vocab_size
        self.engine = model.engine
        self.place = 0
        self.read = 0

    def zero_state(self, rows: int) -> State:
        """The engine's."""
        return self.engine.zero_state(rows)

    def read_prompt(
        self, ids: NDArray[np.integer], state: State
    ) -> tuple[NDArray[np.float32], State]:
        """The first wish."""
        self.place = 0
        self.read += len(ids)
        return self._wanted(), state

    def step(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """The next wish."""
        self.place += 1
        self.read += 1
        return self._wanted(), state

    def _wanted(self) -> NDArray[np.float32]:
        logits = np.linspace(0, 1, self.size, dtype=np.float32)[None, :].copy()
        logits[0, self.ids[self.place % len(self.ids)]] = 50
        return logits


def wishing(model: LanguageModel, wish: str, **options: Any) -> tuple[Chat, Wishes]:
    chat = model.chat(seed=1, **options)
    engine = Wishes(model, wish)
    chat._engine = engine
    return chat, engine


def test_the_state_after_exchanges_is_that_of_reading_what_was_said(model: LanguageModel) -> None:
    chat = model.chat(seed=3, max_length=40)
    for text in ("how are you 1?", "good 2!"):
        chat.reply(text)
    # Replies that are cut, too, are turns that have ended.
    ids = model.tokenizer.encode(chat.transcript()).astype(np.int64)
    whole = np.concatenate([[model.tokenizer.start_id], ids])
    assert chat._state.ids[-1] == model.tokenizer.newline_id
    state = chat._state.state
    assert state is not None
    logits, _ = model.engine.read_prompt(chat._state.ids[:, None], state)
    expected, _ = model.engine.read_prompt(whole[:, None], model.engine.zero_state(1))
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_nothing_is_read_twice(model: LanguageModel) -> None:
    chat, engine = wishing(model, "fine.\n")
    assert chat.reply("how are you?") == "fine."
    assert chat.reply("good!") == "fine."
    # The first of all ids is the end of the document before, and the last newline is not read yet.
    # The last token of what begins a reply is read with the reply.
    read = len(model.tokenizer.encode(chat.transcript()))
    assert engine.read == read
    chat.again()
    assert engine.read == read + 1 + len("fine.")


def test_a_reply_ends_where_a_turn_ends_and_is_never_blank(model: LanguageModel) -> None:
    chat, _ = wishing(model, "\nx\ny")
    reply = chat.reply("hello")
    assert reply.strip()
    assert "\n" not in reply
    assert chat.exchanges[-1].finish == "stop"


@pytest.mark.parametrize("tokenizer", ["char", "byte", "word", "subword"])
@pytest.mark.parametrize("wish", ["Ann: you?", " ann : x", f"so{LINE_BREAK}Bob: x{LINE_BREAK}Ann:"])
@pytest.mark.parametrize("is_known", [True, False])
def test_no_line_of_a_reply_begins_with_a_name(
    tokenizer: str, wish: str, is_known: bool, tmp_path: Path
) -> None:
    model = chat_model(tmp_path, tokenizer)
    chat, _ = wishing(model, wish, max_length=60)
    chat._unknown = not is_known
    for line in chat.reply("hello").split(LINE_BREAK):
        name, colon, _ = line.partition(":")
        assert not colon or " ".join(name.split()).casefold() not in ("ann", "bob")
        assert not colon or is_known or len(name) > 60


def test_what_only_looks_like_a_name_is_written(model: LanguageModel) -> None:
    chat, _ = wishing(model, "so: Ann: good\n")
    assert chat.reply("hello") == "so: Ann: good"


def test_at_the_limit_a_reply_is_cut_and_its_turn_has_ended(model: LanguageModel) -> None:
    chat, _ = wishing(model, "good", max_length=6)
    assert chat.reply("hello") == "goodgo"
    assert chat.exchanges[-1].finish == "length"
    assert chat._state.ids[-1] == model.tokenizer.newline_id


def test_an_interrupted_reply_is_kept_as_far_as_it_came(model: LanguageModel) -> None:
    chat, _ = wishing(model, "good")
    count = itertools.count()
    chat.interrupted = lambda: next(count) == 4
    assert chat.reply("hello") == "goodg"
    assert chat.exchanges[-1].finish == "interrupted"


def test_a_reply_that_is_left_in_the_middle_was_never_said(model: LanguageModel) -> None:
    chat, _ = wishing(model, "good\n")
    next(chat.stream("hello"))
    assert chat.exchanges == []
    assert chat.transcript() == ""


def test_equal_seeds_and_turns_give_equal_replies_and_again_another(model: LanguageModel) -> None:
    one, other = model.chat(seed=5, max_length=30), model.chat(seed=5, max_length=30)
    assert one.reply("hello") == other.reply("hello")
    first = one.exchanges[-1].reply
    assert one.again() != first
    assert len(one.exchanges) == 1


def test_undo_goes_back_to_what_was_before(model: LanguageModel) -> None:
    chat = model.chat(seed=5, max_length=30)
    chat.reply("hello")
    before, said = chat._state, chat.transcript()
    chat.reply("more")
    assert chat.undo().said == "more"
    assert (chat._state, chat.transcript()) == (before, said)
    chat.undo()
    with pytest.raises(UsageError, match="nothing to undo"):
        chat.undo()
    with pytest.raises(UsageError, match="no reply to draw again"):
        chat.again()


def test_after_a_reset_the_first_conversation_is_still_in_the_transcript(
    model: LanguageModel,
) -> None:
    chat, _ = wishing(model, "fine\n")
    chat.reply("one")
    chat.reset()
    chat.reply("two\n\nthree: four")
    assert chat.transcript() == (
        f"Ann: one\nBob: fine\n\nAnn: two{LINE_BREAK}three: four\nBob: fine\n"
    )


def test_who_answers_and_who_asks(model: LanguageModel) -> None:
    chat = model.chat()
    assert (chat.name, chat.me) == ("Bob", "Ann")
    chat.answer_as("ann")
    assert (chat.name, chat.me) == ("Ann", "Bob")
    assert model.chat(name="Ann").me == "Bob"
    with pytest.raises(UsageError, match="nobody in the chat is called Zoe"):
        chat.answer_as("Zoe")
    with pytest.raises(UsageError, match="cannot speak with"):
        model.chat(me="Bob")


def test_after_another_was_named_again_is_a_reply_of_theirs(model: LanguageModel) -> None:
    chat, _ = wishing(model, "fine\n")
    chat.reply("one")
    chat.answer_as("Ann")
    chat.again()
    assert chat.transcript() == "Bob: one\nAnn: fine\n"


def test_constraints_hold_and_the_end_of_the_turn_stays_possible(model: LanguageModel) -> None:
    assert model.chat(seed=1, regex="[a-f]{3}").reply("hello").isalpha()
    chat = model.chat(seed=1, allow="ab", max_length=200, min_p=0.01)
    assert set(chat.reply("hello")) <= set("ab")
    assert chat.exchanges[-1].finish == "stop"
    assert "e" not in model.chat(seed=1, ban="e").reply("hello")


@pytest.mark.parametrize("text", ["", " \n", "\u200e\x00"])
def test_nothing_said_is_a_usage_error(text: str, model: LanguageModel) -> None:
    with pytest.raises(UsageError, match="nothing to answer to"):
        model.chat().reply(text)


@pytest.mark.parametrize(
    "options", [{"max_length": 0}, {"relevance": 2}, {"temperature": -1}, {"temprature": 1}]
)
def test_wrong_options_are_usage_errors(options: dict[str, Any], model: LanguageModel) -> None:
    with pytest.raises(UsageError):
        model.chat(**options)


def test_a_model_of_no_chat_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is no model of a chat"):
        chat_model(tmp_path, documents="blank").chat()


@pytest.mark.parametrize(
    "record", [None, 3, {}, {"speakers": [1]}, {"speakers": {"a\nb": 1}, "answers": "a\nb"}]
)
def test_a_record_that_is_no_record_names_nobody(record: Any, tmp_path: Path) -> None:
    chat = chat_model(tmp_path, chat=record).chat(seed=1, max_length=5)
    assert (chat.name, chat.me) == ("unknown", "unknown")
    chat.reply("hello")
    assert chat.transcript().count("\n") == 2


@pytest.mark.parametrize("relevance", [0.0, 0.5])
def test_a_conversation_that_is_recalled_goes_on_as_the_one_that_happened(
    model: LanguageModel, relevance: float
) -> None:
    chat = model.chat(seed=4, max_length=30, relevance=relevance)
    chat.reply("how are you 3?")
    said = chat.exchanges[0]
    # A reply that the length cuts is no whole turn, and noise may end in part of a character.
    again = model.chat(seed=4, max_length=30, relevance=relevance)
    again.recall(said.said, said.reply)
    assert again.reply("fine") == chat.reply("fine")
    assert again.transcript() == chat.transcript()
    assert again.exchanges[1].tokens <= 30


def test_a_reply_that_is_recalled_can_be_drawn_anew_and_taken_back(model: LanguageModel) -> None:
    chat = model.chat(seed=4, max_length=5)
    chat.recall("how are you 3?", "fine 3.")
    assert chat.again() != "fine 3."
    chat.undo()
    assert chat.transcript() == ""
