"""A text half in quotation marks, and networks one unit of which is exactly that."""

from typing import Any

import numpy as np

from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.config import ModelConfig
from charrnn.tokenizers import TOKENIZERS
from tests.support.tiny import random_weights

WORDS = ["the", "old", "cat", "sat", "on", "a", "mat", "and", "saw", "mill", "go", "round"]


def quoted_text(words: int = 1500) -> str:
    """A text of which about half stands in quotation marks, at random places."""
    random = np.random.default_rng(1)
    parts, inside = [], False
    for number in range(words):
        word = WORDS[int(random.integers(len(WORDS)))]
        if random.random() < 0.12:
            word = word + "”" if inside else "“" + word
            inside = not inside
        parts.append(word + ("\n" if number % 9 == 8 else " "))
    return "".join(parts)


TEXT = quoted_text()
CHARS = TOKENIZERS["char"].train([TEXT])
OPEN, CLOSE = (int(CHARS.encode(mark)[0]) for mark in "“”")
HIDDEN, UNIT = 6, 2


def random_checkpoint(cell: str = "lstm", layers: int = 1, seed: int = 0) -> Checkpoint:
    model = ModelConfig(
        vocab_size=CHARS.vocab_size, cell=cell, num_layers=layers, hidden_size=HIDDEN,
        embedding_size=CHARS.vocab_size,
    )  # fmt: skip
    return Checkpoint(model, CHARS, random_weights(model, seed), CheckpointInfo(0, 0.0, {}))


def quote_checkpoint(cell: str, layers: int = 1) -> Checkpoint:
    """A random network of which unit 3 of layer 1 is 1 inside quotation marks, and -1 outside."""
    made = random_checkpoint(cell, layers)
    own: dict[str, Any] = dict(made.weights)
    own["embedding.weight"] = np.eye(CHARS.vocab_size, dtype=np.float32)
    names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    w, u, b, other = (own[f"layers.0.{name}_l0"].copy() for name in names)
    blocks = {"lstm": 4, "gru": 3, "rnn": 1}[cell]
    rows = [block * HIDDEN + UNIT for block in range(blocks)]
    for array in (w, u, b, other):
        array[rows] = 0
    w[rows[-1] if cell != "lstm" else rows[2], [OPEN, CLOSE]] = [20, -20]
    if cell == "rnn":
        u[rows[0], UNIT] = 5
    elif cell == "gru":
        b[rows[1]] = 20  # kept, but at a mark
        w[rows[1], [OPEN, CLOSE]] = -40
    else:
        b[rows[0]], b[rows[1]] = -20, 20  # i f g o: shut and kept, but at a mark
        w[rows[0], [OPEN, CLOSE]], w[rows[1], [OPEN, CLOSE]] = 40, -40
    own |= {f"layers.0.{n}_l0": a for n, a in zip(names, (w, u, b, other), strict=True)}
    return Checkpoint(made.config, CHARS, own, made.info)
