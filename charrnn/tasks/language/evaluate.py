"""A torch network over a token array -> nats, bits per character, perplexity."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from charrnn.evaluation.scores import Score
from charrnn.inference.engine import State
from charrnn.tasks.language.network import CharRNN
from charrnn.tokenizers import Tokenizer

WINDOW = 256
"""Tokens read per call."""

WARM_UP = 256
"""Tokens that each row but the first reads, unscored, before the part it is scored on."""

ROW_TOKENS = 4096
"""Shortest row, so that warming up costs at most a sixteenth of the time."""


class TorchStepper:
    """A torch network with the interface of the engine, for the preview during training."""

    def __init__(self, network: CharRNN, tokenizer: Tokenizer) -> None:
        self._network = network
        self.tokenizer = tokenizer

    @property
    def engine(self) -> "TorchStepper":
        """Itself: with its tokenizer it is all that generation needs."""
        return self

    def zero_state(self, rows: int) -> State:
        """The state of `rows` texts before their first token."""
        return [part.cpu().numpy() for layer in self._network.zero_state(rows) for part in layer]

    def step(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """One token for each of B rows, (B,) -> logits (B, V) and the state after it."""
        return self.read_prompt(ids[None, :], state)

    def read_prompt(
        self, ids: NDArray[np.integer], state: State
    ) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens -> logits (B, V) after the last one, and the state."""
        network, device = self._network, self._network.device
        # The engine's state is a flat list, layer by layer; torch's has a tuple for each layer.
        parts = len(state) // len(network.layers)
        tensors = [torch.from_numpy(part).to(device) for part in state]
        layers = [tuple(tensors[i : i + parts]) for i in range(0, len(tensors), parts)]
        # Without dropout, and leaving the mode as it was: a preview interrupts the training.
        was_training = network.training
        network.eval()
        with torch.inference_mode():
            rows = torch.from_numpy(ids.T.astype(np.int64)).to(device)  # (B, T)
            logits, after = network(rows, layers)
        network.train(was_training)
        left = [part.cpu().numpy() for layer in after for part in layer]
        return logits[:, -1].float().cpu().numpy(), left


def evaluate(
    network: CharRNN, tokens: NDArray[np.unsignedinteger], characters: int, start_id: int
) -> Score:
    """N tokens of so many characters -> the score of all, the first predicted from `start_id`.

    The text is cut into rows that are read in parallel. Each row first reads the tokens before it,
    unscored, so that the cut costs next to nothing.
    """
    # At most 32 rows, because the logits of a call take rows * WINDOW * V numbers.
    rows = min(32, max(1, len(tokens) // ROW_TOKENS))
    length = math.ceil(len(tokens) / rows)
    device = network.device
    was_training = network.training
    network.eval()
    state, nats = network.zero_state(rows), 0.0
    with torch.inference_mode():
        # Negative offsets are the warm-up. A single row has no text before it.
        for offset in range(-WARM_UP if rows > 1 else 0, length, WINDOW):
            if offset == 0 and rows > 1:
                # Nothing comes before the first row: it starts from the zero state.
                for part in (part for layer in state for part in layer):
                    part[0] = 0.0
            inputs, targets, scored = _window(tokens, rows, length, offset, start_id)
            logits, state = network(torch.from_numpy(inputs).to(device), state)
            # In float32, and summed in float64: a float32 sum of millions would lose digits.
            losses = F.cross_entropy(
                logits.flatten(0, 1).float(),
                torch.from_numpy(targets).to(device).flatten(),
                reduction="none",
            )
            nats += float(losses[torch.from_numpy(scored).to(device).flatten()].double().sum())
    network.train(was_training)
    return Score(nats, len(tokens), characters)


def _window(
    tokens: NDArray[np.unsignedinteger], rows: int, length: int, offset: int, start_id: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """One call's inputs, targets and which of them are scored, each (rows, window)."""
    # A window ends where the warm-up does, so that the first row can be reset between two calls.
    stop = min(offset + WINDOW, 0 if offset < 0 else length)
    first = np.arange(rows)[:, None] * length
    positions = first + np.arange(offset, stop)[None, :]
    scored = (positions >= first) & (positions < len(tokens))
    # The first row's warm-up lies before the text and the last row may extend beyond it: there any
    # token is read, and not scored.
    inside = np.clip(positions, 0, len(tokens) - 1)
    # The input at each position is the token before it.
    inputs = np.where(positions > 0, tokens[np.maximum(inside - 1, 0)], start_id)
    return inputs.astype(np.int64), tokens[inside].astype(np.int64), scored
