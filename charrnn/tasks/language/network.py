"""CharRNN, the network of language models: ids so far -> logits of the next id."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.config import ModelConfig, TrainConfig, layer_sizes
from charrnn.models import functional, recurrent
from charrnn.models.cells import State
from charrnn.models.functional import dropout
from charrnn.models.recurrent import RecurrentNetwork
from charrnn.models.sampled_softmax import SampledSoftmax, token_counts

LARGE_VOCABULARY = 2048
"""From this size on, the loss is computed in pieces, which saves a fifth of a step."""


class CharRNN(RecurrentNetwork):
    """A recurrent language model: embedding, recurrent layers, output layer."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config)
        # In this order, which is that of the parameters and of the random numbers they start from.
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        self.layers = self.recurrent_layers()
        self.output = nn.Linear(layer_sizes(config)[-1][1], config.vocab_size)
        self.sampled: SampledSoftmax | None = None
        self._init_weights()

    def _init_weights(self) -> None:
        """Small embeddings, and an output layer that starts near the uniform distribution."""
        width = self.config.embedding_size if self.config.tie_weights else self.config.hidden_size
        # A tied embedding is also the output layer: with a standard deviation of 1, the first
        # logits would be large, and the loss far above that of a uniform guess.
        nn.init.normal_(self.embedding.weight, std=0.1 if self.config.tie_weights else 1.0)
        nn.init.uniform_(self.output.weight, -(width**-0.5), width**-0.5)
        nn.init.zeros_(self.output.bias)
        if self.config.tie_weights:
            self.output.weight = self.embedding.weight

    def forward(self, ids: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """(B, T) ids and the state before them -> (B, T, V) logits and the state after them."""
        y, after = self.features(ids, state)
        return self.output(self.drop(y, self.config.output_dropout)), after

    def embed(self, inputs: Tensor) -> Tensor:
        """Ids (...,) -> embeddings (..., D); with embedding dropout, whole tokens are zeroed."""
        x: Tensor = self.embedding(inputs)
        p = self.config.embedding_dropout
        if p and self.training:
            # One mask over the vocabulary (V,): a token is dropped at all its positions or at none
            # (Gal & Ghahramani 2016).
            kept = dropout(x.new_ones(self.config.vocab_size), p)
            x = x * kept[inputs].unsqueeze(-1)
        return x

    def loss(
        self,
        batch: Sequence[Tensor],
        state: list[State],
        penalties: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[Tensor, list[State], Tensor]:
        """Inputs and targets (B, T), and the state -> mean nats per token, state after, penalty."""
        inputs, targets = batch
        y, after = self.features(inputs, state)
        dropped = self.drop(y, self.config.output_dropout)
        mean = self._cross_entropy(dropped.flatten(0, 1), targets.flatten())
        return mean, recurrent.detached(after), self.penalty(y, dropped, penalties)

    def begin_training(self, config: TrainConfig, batches: Any) -> None:
        """With `sampled_softmax`, a step computes the loss from a part of the vocabulary."""
        if 0 < config.sampled_softmax < self.config.vocab_size:
            counts = token_counts(batches.tokens, self.config.vocab_size)
            self.sampled = SampledSoftmax(counts, config.sampled_softmax)

    def _cross_entropy(self, x: Tensor, targets: Tensor) -> Tensor:
        """Inputs of the output layer (N, H) and targets (N,) -> mean nats per token."""
        if self.sampled:
            return self.sampled.loss(x, self.output.weight, self.output.bias, targets)
        if self.config.vocab_size < LARGE_VOCABULARY:
            # In float32: under bfloat16 the log-sum-exp would keep only two to three digits.
            return F.cross_entropy(self.output(x).float(), targets)
        return functional.cross_entropy(x, self.output.weight, self.output.bias, targets)

    def losses(
        self, inputs: Tensor, targets: Tensor, state: list[State]
    ) -> tuple[Tensor, list[State]]:
        """Inputs and targets (B, T), and the state -> nats of each token (B * T,), state after.

        For evaluation: no gradient, and for a large vocabulary never all logits at once.
        """
        if self.config.vocab_size < LARGE_VOCABULARY:
            logits, after = self(inputs, state)
            logits = logits.flatten(0, 1).float()
            return F.cross_entropy(logits, targets.flatten(), reduction="none"), after
        y, after = self.features(inputs, state)
        x = self.drop(y, self.config.output_dropout).flatten(0, 1)
        weight, bias = self.output.weight, self.output.bias
        return functional.token_losses(x, weight, bias, targets.flatten()), after

    def last_logits(self, ids: Tensor, state: list[State]) -> tuple[Tensor, list[State]]:
        """(B, T) ids and the state before them -> logits (B, V) after the last one, the state."""
        y, after = self.features(ids, state)
        return self.output(self.drop(y[:, -1:], self.config.output_dropout))[:, -1], after

    @property
    def uninformed_loss(self) -> float:
        """Nats per token of a uniform guess."""
        return math.log(self.config.vocab_size)


def build(config: ModelConfig, seed: int, init_scale: float = 0.0) -> CharRNN:
    """A new model whose initial weights depend on config and seed alone, on the CPU."""
    return recurrent.build(CharRNN, config, seed, init_scale)


def from_weights(config: ModelConfig, weights: Mapping[str, NDArray[np.float32]]) -> CharRNN:
    """A model with these parameters, named and shaped as in `config.parameter_shapes`."""
    return recurrent.set_weights(CharRNN(config), weights)
