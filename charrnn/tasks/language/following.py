"""A model that learns from a text while it is written: `charrnn write --adapt`.

The weights are a function of the text alone: what is taken back is unlearned, and what is brought
back is learned again, to the last bit.
"""

from dataclasses import replace

import numpy as np

from charrnn.activity import activity
from charrnn.inference.engine import Engine
from charrnn.inference.mixed_engine import MixedEngine
from charrnn.models.device import memory_limit
from charrnn.tasks.language.adapting import (
    WINDOW,
    AdaptingNetwork,
    Snapshot,
    check_adapts,
    checked_rate,
    with_threads,
)
from charrnn.tasks.language.language_model import LanguageModel
from charrnn.tokenizers.base import Ids

MOST_SNAPSHOTS, SNAPSHOT_BYTES = 16, 2**28
"""Weights along the text that are kept, fewer of a large model; others are learned again."""


class FollowingModel:
    """A tokenizer, and an engine whose weights have learned from the text that is followed."""

    def __init__(self, model: LanguageModel, adapt: bool | float = True) -> None:
        check_adapts(model)
        self.tokenizer, self.engine = model.tokenizer, model.engine
        self._model = model
        with memory_limit(
            "adapting to a text takes more memory than there is", "leave --adapt out"
        ):
            self._network = AdaptingNetwork(
                model.checkpoint, model.tokenizer.start_id, checked_rate(adapt)
            )
            # After so many tokens; the first, before any, is always kept.
            self._known: list[tuple[Ids, Snapshot]] = [
                (model.tokenizer.encode("")[:0], self._network.snapshot())
            ]
        size = self._known[0][1].num_bytes
        self._most = max(2, min(MOST_SNAPSHOTS, SNAPSHOT_BYTES // size))
        self._followed = self._known[0][0]

    def follow(self, text: str) -> None:
        """A text -> the engine's weights have learned from its complete windows, and nothing else.

        KeyboardInterrupt leaves the weights of the text before.
        """
        ids = self.tokenizer.encode(text)
        ids = ids[: len(ids) // WINDOW * WINDOW]
        if np.array_equal(ids, self._followed):
            return
        known, snapshot = max(
            (each for each in self._known if np.array_equal(each[0], ids[: len(each[0])])),
            key=lambda each: len(each[0]),
        )
        # Always, because an interruption may have left the network anywhere.
        self._network.restore(snapshot)
        with (
            with_threads(self._model.given_threads or 1),
            activity("adapting to the text", len(ids) - len(known)) as report,
        ):
            for begin in range(len(known), len(ids), WINDOW):
                self._network.read(ids[begin : begin + WINDOW])
                report(WINDOW)
        if len(known) < len(ids):
            self._known.append((ids, self._network.snapshot()))
            if len(self._known) > self._most:
                del self._known[1]
        self.engine = self._engine() if len(ids) else self._model.engine
        self._followed = ids

    def _engine(self) -> Engine:
        """An engine with the weights as they are now."""
        model = self._model
        checkpoint = replace(model.checkpoint, weights=self._network.weights())
        engine = Engine(checkpoint, model.given_threads)
        mixed = model.engine
        return mixed.around(engine) if isinstance(mixed, MixedEngine) else engine
