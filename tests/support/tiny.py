"""Things small enough to test with: a text, a corpus, models of 8 units, checkpoints, plans."""

from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo, TrainingState
from charrnn.checkpoints.header import MOMENTS
from charrnn.checkpoints.run import Run, create_run
from charrnn.config import ModelConfig, TrainConfig, num_parameters, parameter_shapes, state_shapes
from charrnn.data.config import DataConfig
from charrnn.inference.engine import Stepper
from charrnn.tasks import get_task
from charrnn.tasks.language.corpus import Corpus, prepare
from charrnn.tokenizers import TOKENIZERS, Tokenizer

if TYPE_CHECKING:
    from charrnn.training.planner.plan import Plan

TEXT = "The miller's cat sat.\nWho sat? The old cat, of course!\nAnd the mill went round.\n" * 8
"""A text of a few hundred characters; every character of it occurs in every part."""

LANGUAGE = get_task("language")


@dataclass(frozen=True)
class TinyTextModel:
    """A tokenizer and a stepper in one object, as generation and beam search take them."""

    tokenizer: Tokenizer
    engine: Stepper


@cache
def tiny_tokenizer(name: str = "char") -> Tokenizer:
    """A tokenizer of TEXT; learned once."""
    tokenizer: Tokenizer = TOKENIZERS[name].train(
        [TEXT], vocab_size=300 if name == "subword" else None
    )
    return tokenizer


def tiny_corpus(folder: Path, tokenizer: str = "char", text: str = TEXT, **recipe: Any) -> Corpus:
    """A prepared corpus in `folder`, of a text written there."""
    folder.mkdir(parents=True, exist_ok=True)
    source = folder / "text.txt"
    source.write_text(text)
    own = tiny_tokenizer(tokenizer) if text == TEXT else None
    asked = DataConfig((str(source),), tokenizer=tokenizer, **recipe)
    return prepare(asked, folder / "corpus", own)


def tiny_run(root: Path, tokenizer: str = "char", text: str = TEXT, **recipe: Any) -> Run:
    """A run that was never trained: its corpus, its description, and a checkpoint of 8 units."""
    run = create_run(root, "tiny")
    corpus = tiny_corpus(run.folder, tokenizer, text, **recipe)
    model = tiny_model(vocab_size=corpus.tokenizer.vocab_size)
    facts = CheckpointInfo(step=1, epoch=0.1, corpus=corpus.fingerprint())
    run.write_description({"turn": 1})
    run.save(Checkpoint(model, corpus.tokenizer, random_weights(model), facts), keep=1)
    return run


def tiny_model(cell: str = "lstm", **changes: Any) -> ModelConfig:
    """A model of 8 units."""
    fields = {"vocab_size": 11, "num_layers": 2, "hidden_size": 8, "embedding_size": 8}
    return ModelConfig(**{"cell": cell, **fields, **changes})


def tiny_train(**changes: Any) -> TrainConfig:
    """A training of a few steps on one thread."""
    fields = {"steps": 14, "batch_size": 4, "seq_length": 8, "warmup_steps": 3, "threads": 1}
    cadence = {"eval_every": 6, "save_every": 5, "log_every": 4, "keep": 20}
    return TrainConfig(**{**fields, **cadence, **changes})


def tiny_plan(model: ModelConfig, train: TrainConfig) -> "Plan":
    """A plan whose costs are made up."""
    from charrnn.training.planner.plan import Plan

    return Plan(model, train, tokens_per_second=1e4, epochs=1.0, seconds=1.0, memory=1)


def random_weights(config: ModelConfig, seed: int = 0) -> dict[str, Any]:
    """Parameters of about unit size, so that gates and layers all matter; float32 arrays."""
    generator = np.random.default_rng(seed)
    return {
        name: generator.normal(0, 0.5, shape).astype(np.float32)
        for name, shape in parameter_shapes(config).items()
    }


def tiny_checkpoint(
    cell: str = "lstm", tokenizer: str = "char", training: bool = True, **changes: Any
) -> Checkpoint:
    """A checkpoint with random weights; with `training`, one that a training could go on from."""
    import torch

    from charrnn.data.batches import Batches
    from charrnn.training.distributed import Group
    from charrnn.training.learner import Learner

    words = tiny_tokenizer(tokenizer)
    model = tiny_model(cell, vocab_size=words.vocab_size, **changes)
    assert num_parameters(model) < 20_000
    facts = CheckpointInfo(
        step=3, epoch=0.25, corpus={"sha256": "0" * 64, "bytes": 1, "characters": 1}
    )
    made = Checkpoint(model, words, random_weights(model), facts)
    if not training:
        return made
    config = tiny_train()
    batches = Batches(words.encode(TEXT), config.batch_size, config.seq_length)
    learner = Learner(LANGUAGE, model, config, batches, Group(torch.device("cpu")))
    for _ in range(facts.step):
        learner.advance()
    return replace(made, weights=learner.weights(), training=learner.training_state())


def smallest_checkpoint(
    step: int = 3, valid: float | None = None, training: bool = True, **changes: Any
) -> Checkpoint:
    """A checkpoint of a few thousand bytes, whose numbers are made up; no torch is needed."""
    words = tiny_tokenizer(changes.pop("tokenizer", "char"))
    fields = {"cell": "rnn", "num_layers": 1, "hidden_size": 2, "embedding_size": 2}
    model = ModelConfig(**{**fields, "vocab_size": words.vocab_size, **changes})
    corpus = {"sha256": "0" * 64, "bytes": 1, "characters": 1}
    facts = CheckpointInfo(step, 0.25, corpus, valid=valid, versions={"torch": "2"})
    config = tiny_train(batch_size=2)
    generator = np.random.default_rng(step)
    state = {
        name: generator.normal(size=shape).astype(np.float32)
        for name, shape in state_shapes(model, config.batch_size).items()
    }
    moments = {
        f"{moment}.{name}": array
        for seed, moment in enumerate(MOMENTS["adamw"])
        for name, array in random_weights(model, seed + 1).items()
    }
    made = TrainingState(config, moments, state, loss_sum=2.5, loss_count=2)
    return Checkpoint(model, words, random_weights(model), facts, made if training else None)
