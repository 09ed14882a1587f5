"""Made-up models for tests of what is done with logits: no engine and no training behind them."""

from collections.abc import Sequence

import numpy as np

from charrnn.inference.engine import State
from charrnn.inference.generation import Chunk, SamplingParams, begin, generate
from charrnn.inference.sampling import Filter, Logits
from charrnn.inference.sampling.base import Rows
from charrnn.tokenizers import Tokenizer
from tests.support.tiny import TinyTextModel


class Table:
    """A model that looks no further back than one token: row i holds the logits after token i."""

    def __init__(self, logits: Rows) -> None:
        self.logits = logits.astype(np.float32)
        self.steps = 0

    def zero_state(self, rows: int) -> State:
        """The last token and the number of tokens read, for each row."""
        return [np.zeros((rows, 1), np.float32), np.zeros((rows, 1), np.float32)]

    def read_prompt(self, ids: np.ndarray, state: State) -> tuple[Logits, State]:
        """The logits after the last of the tokens."""
        read = state[1] + len(ids)
        return self.logits[ids[-1]], [ids[-1][:, None].astype(np.float32), read]

    def step(self, ids: np.ndarray, state: State) -> tuple[Logits, State]:
        """The logits after one token more."""
        self.steps += 1
        return self.read_prompt(ids[None, :], state)


def noise(vocab_size: int, seed: int = 0, spread: float = 1.5) -> Table:
    """A model that knows nothing, but each time the same."""
    generator = np.random.default_rng(seed)
    return Table(generator.normal(0, spread, (vocab_size, vocab_size)))


def pairs(tokenizer: Tokenizer, text: str) -> Table:
    """A model that has counted which token follows which in a text, and holds all possible."""
    ids = tokenizer.encode(text).astype(np.int64)
    counts = np.full((tokenizer.vocab_size, tokenizer.vocab_size), 0.01)
    np.add.at(counts, (ids[:-1], ids[1:]), 1)
    return Table(np.log(counts))


def written(
    tokenizer: Tokenizer,
    model: Table,
    extra: Sequence[Filter] = (),
    length: int = 80,
    seed: int = 0,
    prompt: str = "",
) -> str:
    """A sample drawn through extra filters."""
    return "".join(piece.text for piece in drawn(tokenizer, model, extra, length, seed, prompt))


def drawn(
    tokenizer: Tokenizer,
    model: Table,
    extra: Sequence[Filter] = (),
    length: int = 80,
    seed: int = 0,
    prompt: str = "",
) -> list[Chunk]:
    """The pieces of a sample drawn through extra filters, with the log-probabilities of all."""
    settings = SamplingParams(length, seed=seed, logprobs=0)
    return list(
        generate(TinyTextModel(tokenizer, model), [begin(tokenizer, prompt)], settings, (0,), extra)
    )
