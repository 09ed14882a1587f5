"""A chat as a corpus: conversations as documents, who speaks and answers, what is recognized."""

import json
from pathlib import Path
from typing import Any

import pytest

from charrnn.data.config import DataConfig, data_config_from_json
from charrnn.errors import CorpusError, UsageError
from charrnn.tasks.language.corpus import Corpus, prepare, reopen
from charrnn.tokenizers.documents import END
from charrnn.training.request import make_request

TALK = "".join(f"Ann: how are you {i}?\nBob: fine {i}.\nAnn: good {i}.\n\n" for i in range(40))


def chat_corpus(folder: Path, text: str = TALK, name: str = "log.txt", **options: Any) -> Corpus:
    (folder / name).write_text(text, encoding="utf-8")
    request = make_request((str(folder / name),), options)
    return prepare(request.data, folder / "corpus")


def test_conversations_are_documents_and_are_held_out_as_wholes(tmp_path: Path) -> None:
    made = chat_corpus(tmp_path)
    assert made.documents == "chat"
    assert made.reset_id == made.tokenizer.start_id
    for split in made.splits.values():
        text = made.tokenizer.decode(split.load().tolist())
        for conversation in text.removesuffix(END).split(END):
            assert conversation.startswith("Ann: how are you")
            assert conversation.endswith(".\n")
            assert conversation.count("\n") == 3


def test_what_was_read_is_told_and_who_answers_is_recorded(tmp_path: Path) -> None:
    made = chat_corpus(tmp_path)
    assert "it plainly is one (Name: text)" in made.notes[0]
    assert "in charrnn chat Bob answers" in made.notes[1]
    assert (
        "120 messages in 120 turns and 40 conversations; turns of Ann 80, Bob 40" in made.notes[2]
    )
    assert made.fingerprint()["chat"]["answers"] == "Bob"
    again = reopen(tmp_path / "corpus", made.tokenizer)
    assert again
    assert again.chat == made.chat
    named = chat_corpus(tmp_path, as_name="Ann")
    assert named.chat["answers"] == "Ann"


def test_how_it_was_read_is_recorded_as_done(tmp_path: Path) -> None:
    made = chat_corpus(tmp_path, as_name="Ann")
    recorded = json.loads(json.dumps(made.recipe(DataConfig(()))))
    assert recorded["documents"] == "chat"
    config = data_config_from_json(recorded)
    assert config.as_name == "Ann"
    # As resuming does it.
    assert prepare(config, tmp_path / "again", made.tokenizer).splits.keys() == made.splits.keys()


def test_with_no_chat_and_for_other_texts_nothing_is_recognized(tmp_path: Path) -> None:
    for options in ({"chat": False}, {"documents": "blank"}, {"lines": True}):
        made = chat_corpus(tmp_path, **options)
        assert made.documents != "chat"
        assert made.chat is None
        assert "chat" not in made.fingerprint()
    prose = chat_corpus(tmp_path, "The miller sat by the water and said: well.\n" * 40)
    assert prose.documents == ""
    assert "documents" not in prose.recipe(DataConfig(()))


@pytest.mark.parametrize("tokenizer", ["byte", "word", "subword"])
def test_a_chat_is_the_same_text_for_every_tokenizer(tokenizer: str, tmp_path: Path) -> None:
    size = 300 if tokenizer == "subword" else None
    made = chat_corpus(tmp_path, tokenizer=tokenizer, vocab_size=size)
    text = made.tokenizer.decode(made.splits["valid"].load().tolist())
    assert text.startswith("Ann: how are you")
    assert text.endswith("\n" + END)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (TALK, {"as_name": "Zoe"}, "--as Zoe: nobody of that name"),
        ("The miller said: well.\n" * 40, {"as_name": "Ann"}, "--as Ann is for a chat"),
        (TALK, {"chat": True, "lines": True}, "--chat and --lines contradict"),
        (TALK, {"chat": False, "as_name": "Ann"}, "--no-chat and --as contradict"),
        (TALK, {"chat": True, "documents": "blank"}, "--chat and --documents blank contradict"),
    ],
)
def test_what_cannot_be_together_is_a_usage_error(
    text: str, options: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        chat_corpus(tmp_path, text, **options)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Ann: hi\n" * 100, "one speaker, 'Ann'"),
        ("no turns here\n" * 100, "has no turn of a conversation"),
        ('{"type": "x", "messages": [{"type": "message", "text"', "ends too early"),
        ("Ann: hello\nBob: hello to you\n" * 20, "1 different document"),
    ],
)
def test_what_is_no_chat_is_a_corpus_error(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=message):
        chat_corpus(tmp_path, text, chat=True)


@pytest.mark.parametrize("task", ["series", "pairs"])
def test_other_tasks_have_no_chats(task: str) -> None:
    for option in ({"chat": True}, {"as_name": "Ann"}):
        with pytest.raises(UsageError, match=f"is no option of the task {task}"):
            make_request(("x",), option, task=task)
