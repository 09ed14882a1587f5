"""A model over a token array -> nats, bits per character, perplexity. It changes neither."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from charrnn.model import CharRNN
from charrnn.scoring import Score
from charrnn.texts import State

WINDOW = 256
"""Tokens read per call."""

WARM_UP = 256
"""Tokens each row but the first reads, unscored, before the part it is scored on."""

ROW_TOKENS = 4096
"""A row is at least this long, so that warming up costs at most a sixteenth."""


class TorchStepper:
    """A torch model behind the engine's interface, for the few tokens shown while training."""

    def __init__(self, model: CharRNN) -> None:
        self._model = model

    def zero_state(self, rows: int) -> State:
        """The state of `rows` texts before their first token."""
        return [part.cpu().numpy() for layer in self._model.zero_state(rows) for part in layer]

    def step(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """One token for each of B rows, (B,) -> logits (B, V) and the state after it."""
        return self.read_prompt(ids[None, :], state)

    def read_prompt(
        self, ids: NDArray[np.integer], state: State
    ) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens -> logits (B, V) after the last, and the state."""
        model, device = self._model, self._model.output.bias.device
        parts = len(state) // len(model.layers)
        tensors = [torch.from_numpy(part).to(device) for part in state]
        layers = [tuple(tensors[i : i + parts]) for i in range(0, len(tensors), parts)]
        was_training = model.training
        model.eval()
        with torch.inference_mode():
            rows = torch.from_numpy(ids.T.astype(np.int64)).to(device)  # (B, T)
            logits, after = model(rows, layers)
        model.train(was_training)
        left = [part.cpu().numpy() for layer in after for part in layer]
        return logits[:, -1].float().cpu().numpy(), left


def evaluate(
    model: CharRNN, tokens: NDArray[np.unsignedinteger], characters: int, start_id: int
) -> Score:
    """Score every one of N tokens, the first as what follows `start_id`, the state carried.

    The text is cut into rows that are read side by side; each row first reads the tokens before
    it unscored, so that the cut costs next to nothing.
    """
    rows = min(32, max(1, len(tokens) // ROW_TOKENS))
    length = math.ceil(len(tokens) / rows)
    device = model.output.bias.device
    was_training = model.training
    model.eval()
    state, nats = model.zero_state(rows), 0.0
    with torch.inference_mode():
        for offset in range(-WARM_UP if rows > 1 else 0, length, WINDOW):
            if offset == 0 and rows > 1:
                # Nothing stands before the first row: it starts from the empty state.
                for part in (part for layer in state for part in layer):
                    part[0] = 0.0
            inputs, targets, scored = _window(tokens, rows, length, offset, start_id)
            logits, state = model(torch.from_numpy(inputs).to(device), state)
            losses = F.cross_entropy(
                logits.flatten(0, 1).float(),
                torch.from_numpy(targets).to(device).flatten(),
                reduction="none",
            )
            nats += float(losses[torch.from_numpy(scored).to(device).flatten()].double().sum())
    model.train(was_training)
    return Score(nats, len(tokens), characters)


def _window(
    tokens: NDArray[np.unsignedinteger], rows: int, length: int, offset: int, start_id: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Inputs, targets and which of them count, each (rows, window), of one step of the reading."""
    stop = min(offset + WINDOW, 0 if offset < 0 else length)
    first = np.arange(rows)[:, None] * length
    positions = first + np.arange(offset, stop)[None, :]
    scored = (positions >= first) & (positions < len(tokens))
    inside = np.clip(positions, 0, len(tokens) - 1)
    inputs = np.where(positions > 0, tokens[np.maximum(inside - 1, 0)], start_id)
    return inputs.astype(np.int64), tokens[inside].astype(np.int64), scored
