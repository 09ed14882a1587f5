"""CharRNN: an embedding, a stack of recurrent cells, an output layer. It knows ids, not text."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn import softmax
from charrnn.cells import CELLS, State
from charrnn.config import STATE_PARTS, ModelConfig, layer_sizes, residual_at
from charrnn.dropout import drop

LARGE_VOCABULARY = 2048
"""From so many tokens on the loss takes a way of its own, which saves a fifth of a step."""


class CharRNN(nn.Module):
    """A recurrent language model: ids so far -> scores of the next id.

    Dropout is applied where it does not touch the recurrence (Zaremba et al. 2014), with
    `variational` the same for all steps of a window (Gal & Ghahramani 2016). With `residual`, each
    layer above the first whose input is as wide as its output adds the one to the other.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocab_size, config.embedding_size)
        sizes, cell = layer_sizes(config), CELLS[config.cell]
        self.layers = nn.ModuleList(cell(*size) for size in sizes)  # type: ignore[call-arg,arg-type]
        self.output = nn.Linear(sizes[-1][1], config.vocab_size)
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
        y, after = self.top(ids, state)
        return self.output(self._drop(y, self.config.output_dropout)), after

    def top(self, ids: Tensor, state: list[State] | None = None) -> tuple[Tensor, list[State]]:
        """What the output layer is given, (B, T, H), before its dropout, and the state after."""
        config = self.config
        x = self._drop(self._embed(ids), config.input_dropout)  # (B, T, D)
        after: list[State] = []
        for index, layer in enumerate(self.layers):
            x = self._drop(x, config.dropout) if index else x
            dropped = config.weight_dropout if self.training else 0.0
            y, last = layer(x, None if state is None else state[index], dropped)  # (B, T, H)
            after.append(last)
            x = x + y if residual_at(config, index) else y
        return x, after

    def _embed(self, ids: Tensor) -> Tensor:
        """(B, T, D), the embeddings of some words left out wherever they stand, others scaled."""
        x: Tensor = self.embedding(ids)
        share = self.config.embedding_dropout
        if share and self.training:
            kept = drop(x.new_ones(self.config.vocab_size), share)
            x = x * kept[ids].unsqueeze(-1)
        return x

    def _drop(self, x: Tensor, share: float) -> Tensor:
        if not share or not self.training:
            return x
        if self.config.variational:
            return x * drop(torch.ones_like(x[:, :1]), share)
        return drop(x, share)

    def loss(
        self,
        inputs: Tensor,
        targets: Tensor,
        state: list[State],
        penalties: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[Tensor, list[State], Tensor]:
        """Of (B, T) targets given (B, T) inputs: mean nats per token, detached state, penalty.

        penalties: weights of the top layer's mean square and of that of its change from step to
        step (Merity et al. 2017, section 4.3).
        """
        y, after = self.top(inputs, state)
        dropped = self._drop(y, self.config.output_dropout)
        mean = self._nats(dropped.flatten(0, 1), targets.flatten())
        size, change = penalties
        penalty = mean.new_zeros(())
        if size:
            penalty = penalty + size * dropped.float().square().mean()
        if change and y.shape[1] > 1:
            penalty = penalty + change * y.float().diff(dim=1).square().mean()
        return mean, [tuple(part.detach().float() for part in layer) for layer in after], penalty

    def _nats(self, x: Tensor, targets: Tensor) -> Tensor:
        """Mean nats per token of (N,) targets given (N, H) inputs of the output layer."""
        if self.config.vocab_size < LARGE_VOCABULARY:
            return F.cross_entropy(self.output(x).float(), targets)
        return softmax.cross_entropy(x, self.output.weight, self.output.bias, targets)

    def zero_state(self, batch_size: int) -> list[State]:
        """The state before any text: zeros, one (B, H) tensor for each part of each layer."""
        like = self.output.bias
        parts = len(STATE_PARTS[self.config.cell])
        return [
            tuple(like.new_zeros(batch_size, hidden) for _ in range(parts))
            for _, hidden in layer_sizes(self.config)
        ]


def build(config: ModelConfig, seed: int, init_scale: float = 0.0) -> CharRNN:
    """A fresh model whose start values depend on config and seed alone, on the CPU.

    With `init_scale` weights are uniform within it, either side of zero, and biases zero.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = CharRNN(config)
        for parameter in model.parameters() if init_scale else ():
            bound = init_scale if parameter.ndim > 1 else 0.0
            nn.init.uniform_(parameter, -bound, bound)
        return model


def from_weights(config: ModelConfig, weights: Mapping[str, NDArray[np.float32]]) -> CharRNN:
    """A model with these parameters, named and shaped as `config.parameter_shapes` says."""
    model = CharRNN(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(weights[name].copy()))
    return model
