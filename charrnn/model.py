"""CharRNN: an embedding, a stack of recurrent cells, an output layer. It knows ids, not text."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.cells import CELLS, State
from charrnn.config import STATE_PARTS, ModelConfig


class CharRNN(nn.Module):
    """A recurrent language model: ids so far -> scores of the next id.

    Dropout is applied where it does not touch the recurrence (Zaremba et al. 2014). With
    `residual`, each layer above the first adds its input to its output.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        widths = [config.embedding_size] + [config.hidden_size] * (config.num_layers - 1)
        cell = CELLS[config.cell]
        self.layers = nn.ModuleList(cell(width, config.hidden_size) for width in widths)  # type: ignore[call-arg,arg-type]
        self.output = nn.Linear(config.hidden_size, config.vocab_size)
        self._start()

    def _start(self) -> None:
        """Small embeddings, and an output layer that begins near the uniform distribution."""
        width = self.config.embedding_size if self.config.tie_weights else self.config.hidden_size
        nn.init.normal_(self.embedding.weight, std=0.1 if self.config.tie_weights else 1.0)
        nn.init.uniform_(self.output.weight, -(width**-0.5), width**-0.5)
        nn.init.zeros_(self.output.bias)
        if self.config.tie_weights:
            self.output.weight = self.embedding.weight

    def forward(self, ids: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """(B, T) ids and the state before them -> (B, T, V) logits and the state after them."""
        x = self._drop(self.embedding(ids), self.config.input_dropout)  # (B, T, D)
        after: list[State] = []
        for index, layer in enumerate(self.layers):
            y, last = layer(x, None if state is None else state[index])  # (B, T, H)
            after.append(last)
            y = x + y if self.config.residual and index > 0 else y
            top = index == len(self.layers) - 1
            x = self._drop(y, self.config.output_dropout if top else self.config.dropout)
        return self.output(x), after

    def _drop(self, x: Tensor, share: float) -> Tensor:
        return F.dropout(x, share, self.training) if share else x

    def loss(
        self, inputs: Tensor, targets: Tensor, state: list[State]
    ) -> tuple[Tensor, list[State]]:
        """Mean nats per token of (B, T) targets given (B, T) inputs, and the detached state."""
        logits, after = self(inputs, state)
        mean = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        return mean, [tuple(part.detach() for part in layer) for layer in after]

    def zero_state(self, batch_size: int) -> list[State]:
        """The state before any text: zeros, one (B, H) tensor for each part of each layer."""
        like = self.output.bias
        parts = len(STATE_PARTS[self.config.cell])
        return [
            tuple(like.new_zeros(batch_size, self.config.hidden_size) for _ in range(parts))
            for _ in range(self.config.num_layers)
        ]


def build(config: ModelConfig, seed: int) -> CharRNN:
    """A fresh model whose start values depend on config and seed alone, on the CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return CharRNN(config)


def from_weights(config: ModelConfig, weights: Mapping[str, NDArray[np.float32]]) -> CharRNN:
    """A model with these parameters, named and shaped as `config.parameter_shapes` says."""
    model = CharRNN(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name].copy()))
    return model
