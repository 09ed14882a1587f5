"""Untrained runs for other programs to use: of a text, of a chat, of another task."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.checkpoints.run import Run, create_run
from charrnn.data.config import DataConfig
from charrnn.tasks.language.corpus import prepare
from tests.support.chats import chat_corpus
from tests.support.tiny import random_weights, tiny_corpus, tiny_model


def text_run(root: Path, name: str = "fables", tokenizer: str = "char", **recipe: Any) -> Run:
    """A run of TEXT."""
    run = create_run(root, name)
    return _saved(run, tiny_corpus(run.folder, tokenizer, **recipe))


def chat_run(root: Path, name: str = "shop", tokenizer: str = "char") -> Run:
    """A run of TALK, in which Bob answers Ann."""
    run = create_run(root, name)
    return _saved(run, chat_corpus(run.folder, tokenizer=tokenizer))


def labelled_run(root: Path, name: str = "langs") -> Run:
    """A run of the labels en and fr."""
    run = create_run(root, name)
    source = run.folder / "text.tsv"
    lines = (f"en\tthe cat{n} sat on the mat\nfr\tle chat{n} est sur la table" for n in range(20))
    source.write_text("\n".join(lines))
    config = DataConfig((str(source),), tokenizer="char", conditions=True).for_new_run()
    return _saved(run, prepare(config, run.folder / "corpus"))


def other_run(root: Path, name: str = "numbers") -> Run:
    """A run of another task, without a checkpoint."""
    run = create_run(root, name)
    run.write_description({"turn": 1, "task": "series"})
    return run


def _saved(run: Run, corpus: Any) -> Run:
    words = corpus.tokenizer
    model = replace(tiny_model(vocab_size=words.vocab_size), reset_id=corpus.reset_id)
    fingerprint = corpus.fingerprint()
    facts = CheckpointInfo(step=1, epoch=0.1, corpus=fingerprint, lines=fingerprint["lines"])
    run.write_description({"turn": 1, "corpus": fingerprint})
    run.save(Checkpoint(model, words, random_weights(model), facts), keep=1)
    return run
