"""A checkpoint -> step(ids, state) -> (logits, state), by ONNX Runtime. torch is never imported.

The model becomes two small ONNX graphs in memory: one reads a token, the other whole sequences.
Sampling is fast because their weights stay packed between calls, and because it starts without
torch.
"""

import functools
import math
import os
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import num_parameters, state_shapes
from charrnn.errors import MemoryLimitError
from charrnn.inference.graphs import OPERATORS, sequence_graph, step_graph
from charrnn.inference.sessions import Sessions
from charrnn.inference.steering import Steer
from charrnn.tokenizers import Tokenizer

State = list[NDArray[np.float32]]
"""A hidden state: one array (B, H) for each part of each layer."""

# A call makes the logits of all its tokens, (T, B, V), so a long prompt is read in parts.
READ_LENGTH = 256
"""Tokens of a prompt read per call."""

LOGITS_AT_ONCE = 2**23
"""Of a large vocabulary fewer tokens per call, with about so many logits: 34 MB of float32."""

READ_FROM = 64
"""Shorter sequences are stepped: building the sequence graph takes some milliseconds."""

MOST_TRIED_PARAMETERS = 8_000_000
"""Larger models run on all threads at once: each session holds the weights, and takes a second."""


def default_threads() -> int:
    """One thread per core, at most four: a single text keeps no more of them busy."""
    # Unlike cpu_count, the affinity counts only cores that this process may use; macOS has none.
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)


class Stepper(Protocol):
    """A model that is read token by token: `Engine`, or a torch network during training."""

    def zero_state(self, rows: int) -> State:
        """The state of `rows` texts before their first token."""

    def read_prompt(
        self, ids: NDArray[np.integer], state: State
    ) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens -> logits (B, V) after the last one, and the state."""

    def step(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """One token for each of B rows, (B,) -> logits (B, V) and the state after it."""


class TextModel(Protocol):
    """A tokenizer and a stepper in one object: all that generation and beam search need."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Text <-> ids."""

    @property
    def engine(self) -> Stepper:
        """Ids -> logits."""


class Engine:
    """A model that can be stepped: `step` reads one token of each row, `read` many.

    precision: "float32", or "int8" for weights of one byte each, which is faster. The rows of a
    batch do not influence each other's results. steers: units held or pushed after each token.
    Before each `reset_id` of the configuration a row's state starts anew, as in training. The
    graphs are built at the first call.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        threads: int | None = None,
        precision: str = "float32",
        steers: Sequence[Steer] = (),
    ) -> None:
        self.config = checkpoint.config
        self.vocab_size = checkpoint.config.vocab_size
        self._parts = list(state_shapes(self.config, 1))
        self._names = ["logits", *(f"{name}.after" for name in self._parts)]
        self._checkpoint, self._precision, self._steers = checkpoint, precision, steers
        # Without a number given, one thread and all of them are tried on the first calls.
        self._threads = (threads,) if threads else tuple(sorted({1, default_threads()}))
        # In int8 one graph does everything, so that a text is scored exactly as it is sampled. A
        # cell that ONNX has no operator for is always stepped, and so is one with units steered.
        stepped = bool(steers) or precision != "float32" or self.config.cell not in OPERATORS
        self._read_from = math.inf if stepped else READ_FROM

    @functools.cached_property
    def _stepper(self) -> Any:
        """The session of the graph that reads one token."""
        return self._sessions(step_graph(self._checkpoint, self._precision, steers=self._steers))

    @functools.cached_property
    def _reader(self) -> Any:
        """The session of the graph that reads sequences."""
        return self._sessions(sequence_graph(self._checkpoint))

    def _sessions(self, model: Any) -> Sessions:
        # Where a second session would take long to build, all threads are worth their while.
        large = num_parameters(self.config) > MOST_TRIED_PARAMETERS
        counts = self._threads[-1:] if large else self._threads
        return Sessions(functools.partial(_session, model.SerializeToString()), counts)

    def zero_state(self, rows: int) -> State:
        """The state of `rows` texts before their first token."""
        return [np.zeros(s, np.float32) for s in state_shapes(self.config, rows).values()]

    def step(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """One token for each of B rows, (B,) -> logits (B, V) and the state after it."""
        state = self._begun(ids, state)
        feed: dict[str, NDArray[Any]] = dict(zip(self._parts, state, strict=True))
        # ONNX Runtime does not convert types, and a tokenizer's ids are small unsigned integers.
        feed["ids"] = ids.astype(np.int64, copy=False)
        logits, *after = self._stepper.run(self._names, feed)
        return logits, after

    def _begun(self, ids: NDArray[np.integer], state: State) -> State:
        """The state before B tokens (B,): zero in the rows of which one begins a document."""
        if self.config.reset_id < 0 or not (begins := ids == self.config.reset_id).any():
            return state
        return [np.where(begins[:, None], np.float32(0), part) for part in state]

    def read(self, ids: NDArray[np.integer], state: State) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens -> logits (T, B, V) and the state after the last of them."""
        inside = np.flatnonzero((ids[1:] == self.config.reset_id).any(1)) + 1
        if len(inside):
            # The graph of sequences cannot reset a state, so each beginning has a call of its own.
            found = []
            for part in np.split(ids, inside):
                logits, state = self.read(part, state)
                found.append(logits)
            return np.concatenate(found), state
        state = self._begun(ids[0], state)
        if len(ids) < self._read_from:
            logits = np.empty((*ids.shape, self.vocab_size), np.float32)
            for now, row in zip(logits, ids, strict=True):
                now[:], state = self.step(row, state)
            return logits, state
        feed: dict[str, NDArray[Any]] = dict(zip(self._parts, state, strict=True))
        feed["ids"] = ids.astype(np.int64, copy=False)
        logits, *after = self._reader.run(self._names, feed)
        return logits, after

    def read_prompt(
        self, ids: NDArray[np.integer], state: State
    ) -> tuple[NDArray[np.float32], State]:
        """(T, B) tokens of any length T >= 1 -> logits (B, V) after the last, and the state."""
        length = self.tokens_at_once(ids.shape[1])
        for begin in range(0, len(ids), length):
            logits, state = self.read(ids[begin : begin + length], state)
        return logits[-1], state

    def tokens_at_once(self, rows: int) -> int:
        """Rows of a batch -> the tokens of each that a call reads, so that its logits are few."""
        # At least as many as the graph of sequences reads faster than the other does.
        return max(READ_FROM, min(READ_LENGTH, LOGITS_AT_ONCE // (rows * self.vocab_size)))


def _session(model: bytes, threads: int) -> Any:
    # It is imported here, because commands that only read headers do not need it.
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # The library would log to stderr, among the lines of progress and errors; 4 is fatal only.
    options.log_severity_level = 4
    # One token takes microseconds, less than waking a sleeping thread.
    options.add_session_config_entry("session.intra_op.allow_spinning", "1")
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except (MemoryError, RuntimeError) as error:
        raise MemoryLimitError(
            f"the model does not fit in memory ({type(error).__name__})", "sample a smaller model"
        ) from None


def open_session(model: bytes, threads: int) -> Any:
    """A serialized ONNX model -> a session of ONNX Runtime. MemoryLimitError if it does not fit."""
    return _session(model, threads)
