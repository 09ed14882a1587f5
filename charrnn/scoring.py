"""How likely a model finds a text, token by token, by the engine: torch is not imported."""

import math
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.corpus import whole_lines
from charrnn.engine import READ_LENGTH, Engine
from charrnn.errors import CorpusError
from charrnn.sources import find
from charrnn.tokenizer import Tokenizer


@dataclass(frozen=True)
class Score:
    """How well a model foretells a text: total nats, over so many tokens and characters."""

    nats: float
    tokens: int
    characters: int

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nats / self.tokens

    @property
    def nats_per_char(self) -> float:
        """Nats per character of the text itself: comparable across tokenizers."""
        return self.nats / self.characters

    @property
    def bits_per_char(self) -> float:
        """Bits per character of the text itself."""
        return self.nats_per_char / math.log(2)

    @property
    def perplexity(self) -> float:
        """The exponential of the loss: among how many equal choices the model hesitates."""
        return math.exp(min(self.loss, 700.0))

    def to_json(self) -> dict[str, Any]:
        """The fields and figures of `evaluate --json`."""
        figures = ("loss", "nats_per_char", "bits_per_char", "perplexity")
        return asdict(self) | {name: getattr(self, name) for name in figures}


def log_probabilities(
    engine: Engine, tokens: NDArray[np.unsignedinteger], start_id: int
) -> Iterator[NDArray[np.float64]]:
    """Natural log-probability of each of N tokens given those before it, in blocks, in order.

    The first token is judged as what follows `start_id`; the state is carried to the end.
    """
    state, last = engine.zero_state(1), start_id
    for begin in range(0, len(tokens), READ_LENGTH):
        targets = tokens[begin : begin + READ_LENGTH].astype(np.int64)
        inputs = np.concatenate([[last], targets[:-1]])
        logits, state = engine.read(inputs[:, None], state)
        last = int(targets[-1])
        yield log_softmax(logits[:, 0])[np.arange(len(targets)), targets]


def log_softmax(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log-probabilities (N, V) of logits (N, V), in float64."""
    distance = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    shares: NDArray[np.float64] = distance - np.log(np.exp(distance).sum(axis=1, keepdims=True))
    return shares


def read_text(
    path: Path, tokenizer: Tokenizer, encoding: str
) -> tuple[NDArray[np.unsignedinteger], int]:
    """The tokens of a file, and how many characters they stand for; CorpusError if it has none."""
    with tempfile.TemporaryDirectory() as spool:
        found = find([str(path)], Path(spool), tokenizer.name == "byte")
        texts = list(found.texts(encoding, tokenizer.name == "byte"))
    tokens = [tokenizer.encode(text) for text in whole_lines(texts)]
    if not tokens:
        raise CorpusError(f"{path} is empty", "give a file with text")
    return np.concatenate(tokens), sum(map(len, texts))


def score_by_engine(
    engine: Engine, tokens: NDArray[np.unsignedinteger], characters: int, start_id: int
) -> Score:
    """The loss over N tokens as the engine computes it, in its precision."""
    nats = -sum(float(block.sum()) for block in log_probabilities(engine, tokens, start_id))
    return Score(nats, len(tokens), characters)
