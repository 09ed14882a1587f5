"""RecurrentNetwork: input -> recurrent layers -> output; a task adds its input, output and loss."""

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from charrnn.config import CELLS, ModelConfig, TrainConfig, layer_sizes, residual_at
from charrnn.models.cells import CELL_CLASSES, State
from charrnn.models.functional import dropout
from charrnn.models.resets import Begins

AnyNetwork = TypeVar("AnyNetwork", bound="RecurrentNetwork")


class RecurrentNetwork(nn.Module):
    """A stack of recurrent layers with dropout between them and residual connections.

    Dropout is applied where it does not touch the recurrence (Zaremba et al. 2014), with
    `variational` the same mask at all steps of a window (Gal & Ghahramani 2016). With `residual`,
    each layer above the first adds its input to its output if both have the same width.

    A subclass creates its modules in the order input, `self.layers = self.recurrent_layers()`,
    output, which is the order of the parameters and of the random numbers they start from. It
    defines `embed`, `loss` and `uninformed_loss`.
    """

    layers: nn.ModuleList

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    def recurrent_layers(self, sizes: Iterable[tuple[int, int]] | None = None) -> nn.ModuleList:
        """New layers of the configured cell; sizes: inputs and units of each, if not the usual."""
        cell = CELL_CLASSES[self.config.cell]
        own = layer_sizes(self.config) if sizes is None else sizes
        return nn.ModuleList(cell(*size) for size in own)

    @abstractmethod
    def embed(self, inputs: Tensor) -> Tensor:
        """A batch's inputs -> what the first layer reads, (..., D)."""

    @abstractmethod
    def loss(
        self,
        batch: Sequence[Tensor],
        state: list[State],
        penalties: tuple[float, float] = (0.0, 0.0),
    ) -> tuple[Tensor, list[State], Tensor]:
        """A step's arrays and the state before them -> mean loss, detached state after, penalty.

        penalties: weights of the top layer's mean square and of the mean square of its change.
        """

    def begin_training(self, config: TrainConfig, batches: Any) -> None:
        """What a task's network needs to know of a training: its settings and its batches."""

    @property
    @abstractmethod
    def uninformed_loss(self) -> float:
        """The loss of a guess that ignores its input: far above it, training has diverged."""

    def begins(self, inputs: Tensor) -> Begins | None:
        """Inputs (B, T) -> where the state starts anew before one of them; None if nowhere."""
        if self.config.reset_id < 0:
            return None
        mask = inputs == self.config.reset_id
        # Most windows of long documents have no beginning in them.
        return Begins(mask) if bool(mask.any()) else None

    @property
    def device(self) -> torch.device:
        """Where the parameters are."""
        return next(self.parameters()).device

    def features(
        self, inputs: Tensor, state: list[State] | None = None
    ) -> tuple[Tensor, list[State]]:
        """Inputs (B, T) and the state before them -> the top layer's output (B, T, H), state after.

        Dropout has not been applied to the output. Without a state, the layers start at zeros; so
        they do before each `reset_id` of the configuration.
        """
        config = self.config
        x = self.drop(self.embed(inputs), config.input_dropout)  # (B, T, D)
        after: list[State] = []
        begins = self.begins(inputs)
        for index, layer in enumerate(self.layers):
            # The first layer's input has had `input_dropout` already.
            x = self.drop(x, config.dropout) if index else x
            weight_dropout = config.weight_dropout if self.training else 0.0
            before = None if state is None else state[index]
            y, last = layer(x, before, weight_dropout, begins)  # (B, T, H)
            after.append(last)
            x = self.combine(index, x, y)
        return x, after

    def combine(self, index: int, x: Tensor, y: Tensor) -> Tensor:
        """A layer's input and output -> what the next layer reads: their sum where it is residual.

        The one place that knows the rule; whoever runs the layers step by step calls it too.
        """
        return x + y if residual_at(self.config, index) else y

    def drop(self, x: Tensor, p: float) -> Tensor:
        """Dropout in training mode, nothing otherwise."""
        if not p or not self.training:
            return x
        if self.config.variational:
            # A mask (B, 1, D), broadcast over the T steps.
            return x * dropout(torch.ones_like(x[:, :1]), p)
        return dropout(x, p)

    def penalty(self, y: Tensor, dropped: Tensor, weights: tuple[float, float]) -> Tensor:
        """The top layer's output before and after dropout -> the penalty of Merity et al. 2017.

        weights: of the mean square of `dropped`, and of the mean square of the change of `y` from
        step to step (section 4.3).
        """
        size, change = weights
        # Under autocast y is bfloat16, too coarse for a mean of squares and for small differences.
        penalty = y.new_zeros((), dtype=torch.float32)
        if size:
            penalty = penalty + size * dropped.float().square().mean()
        if change and y.shape[1] > 1:  # one step has no change, and its mean would be NaN
            penalty = penalty + change * y.float().diff(dim=1).square().mean()
        return penalty

    def zero_state(self, batch_size: int) -> list[State]:
        """The state before any input: for each layer, a zero tensor (B, H) per part."""
        like = next(self.parameters())
        parts = len(CELLS[self.config.cell].state)
        return [
            tuple(like.new_zeros(batch_size, hidden) for _ in range(parts))
            for _, hidden in layer_sizes(self.config)
        ]


def detached(state: list[State]) -> list[State]:
    """A state cut off from its history, in float32, as it is carried to the next step."""
    # Detaching bounds back-propagation, and its memory, to one window. float32 is what checkpoints
    # hold; it represents bfloat16 exactly, so a resumed run continues from the same bits.
    return [tuple(part.detach().float() for part in layer) for layer in state]


def build(make: Callable[[Any], AnyNetwork], config: Any, seed: int, scale: float) -> AnyNetwork:
    """A new network on the CPU; its initial weights depend on config and seed alone.

    With a `scale` above 0, weights are uniform in [-scale, scale] and biases zero.
    """
    # The caller's generator is left as it was; no devices, because none but the CPU is drawn from.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = make(config)
        for parameter in network.parameters() if scale else ():
            bound = scale if parameter.ndim > 1 else 0.0
            nn.init.uniform_(parameter, -bound, bound)
        return network


def set_weights(network: AnyNetwork, weights: Mapping[str, NDArray[np.float32]]) -> AnyNetwork:
    """The network, with parameters from arrays of the same names and shapes."""
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            # A copy, because a checkpoint's arrays are read-only, which torch warns about.
            parameter.copy_(torch.from_numpy(weights[name].copy()))
    return network
