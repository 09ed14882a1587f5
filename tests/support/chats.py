"""A chat of two, and an untrained model of it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.data.config import DataConfig
from charrnn.tasks.language.corpus import Corpus, prepare
from charrnn.tasks.language.language_model import LanguageModel
from tests.support.tiny import random_weights, tiny_model

TALK = "".join(
    f"Ann: how are you {i}?\nBob: fine {i}.\n so: good\nAnn: good {i}!\n\n" for i in range(40)
)
"""Forty conversations; Bob's turns have a line break."""


def chat_corpus(folder: Path, text: str = TALK, tokenizer: str = "char") -> Corpus:
    """The prepared corpus of a chat that is written to the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "log.txt").write_text(text, encoding="utf-8")
    size = 300 if tokenizer == "subword" else None
    config = DataConfig((str(folder / "log.txt"),), tokenizer, size, documents="chat")
    return prepare(config, folder / "corpus")


def chat_model(folder: Path, tokenizer: str = "char", **record: Any) -> LanguageModel:
    """An untrained model of TALK; `record` replaces what its checkpoint says of the corpus."""
    corpus = chat_corpus(folder, tokenizer=tokenizer)
    made = tiny_model(vocab_size=corpus.tokenizer.vocab_size)
    config = replace(made, reset_id=corpus.reset_id)
    facts = CheckpointInfo(step=1, epoch=0.1, corpus=corpus.fingerprint() | record)
    checkpoint = Checkpoint(config, corpus.tokenizer, random_weights(config), facts)
    return LanguageModel(checkpoint, folder / "chat.safetensors", threads=1)
