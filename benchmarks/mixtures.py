"""The n-gram models of a mixture by their longest order: loss, and what is copied.

    python benchmarks/mixtures.py RUN ... [--orders 8 10 20] [--tokens 20000] [--characters 30000]

RUN is the folder of a run that was trained with --mix ngram. For each longest order the n-gram
models are fitted anew. Prints the loss on the first tokens of the validation part, in nats per
token, and of a text written at a temperature of 0.8 the share of characters in sequences of 20 and
more that are in the training part; first of the network alone and of the validation part itself.
With --characters 0 nothing is written.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import charrnn
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.data.suffix_array import SuffixArray
from charrnn.evaluation.scores import score_tokens
from charrnn.inference.engine import Engine
from charrnn.inference.mixed_engine import MixedEngine
from charrnn.tasks.language.corpus import Corpus
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tasks.language.mixing import choice_for, fitted
from charrnn.tasks.language.originality import copied_fraction, open_index

SHORTEST = 20
"""Characters in a row that count as a copy."""

TEMPERATURE = 0.8


def loss(engine: Engine, corpus: Corpus, tokens: int) -> float:
    """Nats per token of the beginning of the validation part."""
    part = corpus.splits["valid"].load()[:tokens]
    pricing, start_id = corpus.pricing("valid"), corpus.tokenizer.start_id
    return score_tokens(engine, part, len(part), start_id, pricing).loss


def copied(text: str, index: SuffixArray) -> str:
    """A text -> the share of it that is copied, in percent."""
    spans = index.spans(text, SHORTEST)
    return f"{100 * copied_fraction(spans, len(text)):.1f}%"


def written(checkpoint: Checkpoint, folder: Path, characters: int) -> str:
    """What a model writes with a seed of 1."""
    model = LanguageModel(checkpoint, folder, threads=1)
    return model.sample(length=characters, seed=1, temperature=TEMPERATURE)


def measure(folder: Path, orders: list[int], tokens: int, characters: int) -> None:
    """Print one line for the network alone and one for each longest order."""
    model = charrnn.load(folder, mix="none", threads=1)
    assert isinstance(model, LanguageModel)
    assert model.corpus is not None
    corpus, checkpoint = model.corpus, model.checkpoint
    engine = Engine(checkpoint, 1)
    index = open_index(corpus, folder) if characters else None
    line = f"{folder.name:12} network {loss(engine, corpus, tokens):.4f}"
    if index:
        part = corpus.tokenizer.decode(corpus.splits["valid"].load()[:tokens].tolist())
        own = written(checkpoint, folder, characters)
        line += f"  copied {copied(own, index):>6}, by the validation part {copied(part, index)}"
    print(line, flush=True)
    train = np.asarray(corpus.splits["train"].load())
    usual = choice_for(corpus.tokenizer.name, train, checkpoint.config.reset_id)
    for order in orders:
        if order <= usual.orders[-2]:
            raise SystemExit(f"the order {order} is not higher than {usual.orders[-2]}")
        choice = replace(usual, orders=(*usual.orders[:-1], order), longer=order)
        mixture = fitted(engine, corpus, choice).mixture
        value = loss(MixedEngine(engine, mixture), corpus, tokens)
        line = f"{folder.name:12} {order:7} {value:.4f}"
        if index:
            text = written(replace(checkpoint, mixture=mixture), folder, characters)
            line += f"  copied {copied(text, index):>6}"
        weights = ", ".join(f"{each:.2f}" for each in mixture.weights)
        print(f"{line}  weights {weights}", flush=True)


def main() -> None:
    """Measure each run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("runs", nargs="+", type=Path)
    least = "each higher than the other orders, 6 of characters and 3 of words"
    parser.add_argument("--orders", nargs="+", type=int, default=[8, 10, 20], help=least)
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--characters", type=int, default=30_000)
    given = parser.parse_args()
    for run in given.runs:
        measure(run, given.orders, given.tokens, given.characters)


if __name__ == "__main__":
    main()
