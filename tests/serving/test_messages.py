"""Messages with roles become a text, or the turns of a chat."""

import pytest

from charrnn.errors import UsageError
from charrnn.serving.messages import as_text, recall
from charrnn.tasks.language.language_model import LanguageModel
from tests.support.chats import chat_model


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> LanguageModel:
    return chat_model(tmp_path_factory.mktemp("chat"))


def test_the_turns_before_the_last_message_are_recalled(model: LanguageModel) -> None:
    chat = model.chat(seed=1)
    last = recall(
        chat,
        [("assistant", "hello"), ("user", "good"), ("user", "day"), ("assistant", "fine"),
         ("user", "so")],
    )  # fmt: skip
    assert last == "so"
    assert chat.transcript() == "Bob: hello\nAnn: good\u2028day\nBob: fine\n"


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([], "last message"),
        ([("assistant", "so")], "last message"),
        ([("system", "be brief"), ("user", "so")], "no system messages"),
    ],
)
def test_messages_that_no_chat_has_are_refused(
    model: LanguageModel, messages: list[tuple[str, str]], problem: str
) -> None:
    with pytest.raises(UsageError, match=problem):
        recall(model.chat(), messages)


def test_a_text_has_no_system_messages() -> None:
    with pytest.raises(UsageError, match="no tool messages"):
        as_text([("tool", "x")])
