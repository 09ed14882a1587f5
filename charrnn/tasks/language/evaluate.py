"""A torch network over a token array -> nats, bits per character, perplexity."""

import itertools
import math

import numpy as np
import torch
from numpy.typing import NDArray

from charrnn.activity import activity
from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.data.token_arrays import evenly_spread
from charrnn.evaluation.scores import EXACT, Pricing, Score
from charrnn.inference.engine import State
from charrnn.models.device import choose_device, faster_threads, memory_limit
from charrnn.tasks.language.network import CharRNN, from_weights
from charrnn.tokenizers import Tokenizer

WINDOW = 256
"""Tokens read per call."""

WARM_UP = 256
"""Tokens that each row but the first reads, unscored, before the part it is scored on."""

ROW_TOKENS = 4096
"""Shortest row, so that warming up costs at most a sixteenth of the time."""

MAX_ROWS = 32
"""Most rows, because what a call holds in memory grows with them."""

PIECE_TOKENS = 1024
"""Tokens of a piece, where a part of the text is read in pieces; and so many pieces at least:"""

MIN_PIECES = 8

LOOK_TOKENS = 2000
"""Tokens that are evaluated to see how many threads are faster now."""


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
            # Of the last token alone: the logits of a whole prompt could take gigabytes.
            logits, after = network.last_logits(rows, layers)
        network.train(was_training)
        left = [part.cpu().numpy() for layer in after for part in layer]
        return logits.float().cpu().numpy(), left


def evaluate(
    network: CharRNN,
    tokens: NDArray[np.unsignedinteger],
    characters: int,
    start_id: int,
    pricing: Pricing = EXACT,
) -> Score:
    """N tokens of so many characters -> the score of all, the first predicted from `start_id`.

    The text is cut into rows that are read in parallel. Each row first reads the tokens before it,
    unscored, so that the cut costs next to nothing; between two documents it costs nothing.
    """
    rows = min(MAX_ROWS, max(1, len(tokens) // ROW_TOKENS))
    length = math.ceil(len(tokens) / rows)
    equal = (min(row * length, len(tokens)) for row in range(1, rows))
    cuts = [_cut(tokens, position, network.config.reset_id) for position in equal]
    parts = [range(*pair) for pair in itertools.pairwise([0, *cuts, len(tokens)])]
    nats = _nats(network, tokens, parts, start_id, pricing)
    return pricing.score(nats, len(tokens), characters, pricing.unknown(tokens))


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    read: tuple[NDArray[np.unsignedinteger], int, Pricing],
    start_id: int,
    device: str,
    threads: int,
    given: bool,
) -> Score:
    """Tokens, their characters and pricing -> the score by a checkpoint's network on a device.

    given: the threads are the user's choice; without one, a single thread where it is faster now.
    """
    tokens, characters, pricing = read
    torch.set_num_threads(threads)
    with memory_limit(
        "evaluating this model takes more memory than there is",
        "use another --device, or --precision int8",
    ):
        # Within the limit, because copying the weights takes memory too.
        network = from_weights(checkpoint.config, checkpoint.weights).to(choose_device(device))
        # A look at a tenth at most, and not at a part so small that it says nothing.
        if not given and len(tokens) >= 10 * LOOK_TOKENS:
            few = tokens[:LOOK_TOKENS]

            def look() -> object:
                return evaluate(network, few, len(few), start_id)

            torch.set_num_threads(faster_threads(look, threads))
        return evaluate(network, tokens, characters, start_id, pricing)


def _cut(tokens: NDArray[np.unsignedinteger], position: int, end_id: int) -> int:
    """A position -> that of the last document before it that begins near, else itself."""
    first = max(0, position - ROW_TOKENS // 2)
    ends = np.flatnonzero(tokens[first:position] == end_id)
    return first + int(ends[-1]) + 1 if len(ends) else position


def evaluate_pieces(
    network: CharRNN,
    tokens: NDArray[np.unsignedinteger],
    characters: int,
    start_id: int,
    limit: int,
    pricing: Pricing = EXACT,
) -> Score:
    """The score of about `limit` of N tokens of so many characters, in evenly spread pieces.

    An estimate for the whole that costs less. The characters of the pieces are an estimate too: to
    count them, the tokens would have to be decoded at each evaluation.
    """
    pieces = min(MAX_ROWS, max(MIN_PIECES, limit // PIECE_TOKENS))
    parts = evenly_spread(len(tokens), limit, pieces)
    nats = _nats(network, tokens, parts, start_id, pricing)
    read = sum(map(len, parts))
    unknown = sum(pricing.unknown(tokens[part.start : part.stop]) for part in parts)
    # An estimate for the whole: shares of the characters are those of the tokens.
    characters = max(1, round(characters * read / len(tokens)))
    return pricing.score(nats, read, characters, unknown)


def _nats(
    network: CharRNN,
    tokens: NDArray[np.unsignedinteger],
    parts: list[range],
    start_id: int,
    pricing: Pricing,
) -> float:
    """The nats of these parts of a text, one to a row, after a warm-up on what comes before each.

    The parts are in order.
    """
    length, device = max(map(len, parts)), network.device
    was_training = network.training
    network.eval()
    state, nats = network.zero_state(len(parts)), 0.0
    # Negative offsets are the warm-up. A single row at the beginning has no text before it.
    first = -WARM_UP if len(parts) > 1 or parts[0].start else 0
    with torch.inference_mode(), activity("evaluating", length - first) as report:
        for offset in range(first, length, WINDOW):
            if offset == 0 and first and not parts[0].start:
                # Nothing comes before the first row: it starts from the zero state.
                for part in (part for layer in state for part in layer):
                    part[0] = 0.0
            # A window ends where the warm-up does, so the first row can be reset between two calls.
            stop = min(offset + WINDOW, 0 if offset < 0 else length)
            inputs, targets, scored = _window(tokens, parts, range(offset, stop), start_id)
            if offset < 0:
                # Without the output layer, which takes most of the time of a large vocabulary.
                state = network.features(torch.from_numpy(inputs).to(device), state)[1]
                report(inputs.shape[1])
                continue
            losses, state = network.losses(
                torch.from_numpy(inputs).to(device), torch.from_numpy(targets).to(device), state
            )
            # In float32, and summed in float64: a float32 sum of millions would lose digits.
            if pricing.floor is None:
                nats += float(losses[torch.from_numpy(scored).to(device).flatten()].double().sum())
            else:
                found = losses.cpu().numpy().reshape(targets.shape)[scored]
                floored = pricing.floor.nats(found, inputs[scored], targets[scored])
                nats += float(floored.sum())
            report(inputs.shape[1])
    network.train(was_training)
    return nats


def _window(
    tokens: NDArray[np.unsignedinteger], parts: list[range], offsets: range, start_id: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """One call's inputs, targets and which of them are scored, each (rows, window)."""
    begins = np.array([part.start for part in parts])[:, None]
    ends = np.array([part.stop for part in parts])[:, None]
    positions = begins + np.arange(offsets.start, offsets.stop)[None, :]
    scored = (positions >= begins) & (positions < ends)
    # The first row's warm-up lies before the text and the last row may extend beyond it: there any
    # token is read, and not scored.
    inside = np.clip(positions, 0, len(tokens) - 1)
    # The input at each position is the token before it.
    inputs = np.where(positions > 0, tokens[np.maximum(inside - 1, 0)], start_id)
    return inputs.astype(np.int64), tokens[inside].astype(np.int64), scored
