"""Messages with roles, as other programs keep conversations -> what a model continues."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from charrnn.data.reading import CHAT
from charrnn.errors import UsageError

if TYPE_CHECKING:
    from charrnn.tasks.language.chat import Chat
    from charrnn.tasks.language.language_model import LanguageModel

Message = tuple[str, str]
"""A role and a text."""

ROLES = ("user", "assistant")
"""Who speaks: who is answered, and the model."""


def is_chat(model: "LanguageModel") -> bool:
    """Whether a model has learned conversations."""
    return model.checkpoint.info.corpus.get("documents") == CHAT


def as_text(messages: Iterable[Message]) -> str:
    """Messages -> the text that a model of texts continues: all of them, one after the other.

    UsageError for a role other than user and assistant.

    >>> as_text([("user", "The miller"), ("assistant", " sat."), ("user", " Then")])
    'The miller sat. Then'
    """
    return "".join(text for _, text in _checked(messages))


def recall(chat: "Chat", messages: Iterable[Message]) -> str:
    """Take all but the last message into a conversation -> the last, which is to be answered.

    Messages in a row by one role are one turn. UsageError if the last is not the user's, or for a
    role other than user and assistant.
    """
    turns: list[list[str]] = []
    for role, text in _checked(messages):
        if turns and turns[-1][0] == role:
            turns[-1][1] += "\n" + text
        else:
            turns.append([role, text])
    if not turns or turns[-1][0] != "user":
        raise UsageError("the last message is not the user's", "end with what is to be answered")
    *past, (_, last) = turns
    if past and past[0][0] == "assistant":
        chat.recall("", past.pop(0)[1])
    for (_, said), (_, reply) in zip(past[::2], past[1::2], strict=True):
        chat.recall(said, reply)
    return last


def _checked(messages: Iterable[Message]) -> list[Message]:
    found = list(messages)
    for role, _ in found:
        if role not in ROLES:
            raise UsageError(
                f"a model of charrnn has no {role} messages",
                f"give the roles {' and '.join(ROLES)} alone",
            )
    return found
