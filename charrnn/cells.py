"""The recurrent layers and their start values. They know tensors, not text.

Each is torch's own one-layer module, so that oneDNN on a CPU and cuDNN on a GPU run it fused; what
is added is one calling convention for all: state is a tuple of (B, H) tensors.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from charrnn.dropout import drop

State = tuple[Tensor, ...]
"""A layer's hidden state: (h, c) for an LSTM, (h,) otherwise, each (B, H)."""


class OneLayer(nn.Module):
    """What the cells share, put before torch's own module in a class's list of bases.

    `both_biases`: whether torch's second bias is a parameter of its own. Where it is only added to
    the first it stays as it begins, because two that learn the same would learn twice as fast.
    """

    both_biases = False

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, batch_first=True)
        self.get_parameter("bias_hh_l0").requires_grad_(self.both_biases)

    def reset_parameters(self) -> None:
        """Set the start values of `start`."""
        start(self)

    def forward(
        self, x: Tensor, state: State | None = None, weight_dropout: float = 0.0
    ) -> tuple[Tensor, State]:
        """(B, T, D) and a state -> (B, T, H) and the state after the last of the T inputs.

        `weight_dropout`: the share of recurrent weights left out of all T steps (Wan et al. 2013;
        in recurrent networks Merity et al. 2017). Torch wants a state of (1, B, H) tensors, and a
        tuple of them only for an LSTM.
        """
        whole: list[Tensor] = self._flat_weights  # type: ignore[has-type]
        if weight_dropout:
            first, recurrent, *biases = whole
            # The fused operator is kept: it reads this list.
            self._flat_weights = [first, drop(recurrent, weight_dropout), *biases]
        try:
            if state is None:
                y, last = super().forward(x)
            else:
                parts = tuple(part.unsqueeze(0) for part in state)
                y, last = super().forward(x, parts if len(parts) > 1 else parts[0])
        finally:
            self._flat_weights = whole
        last = last if isinstance(last, tuple) else (last,)
        return y, tuple(part.squeeze(0) for part in last)


class LSTM(OneLayer, nn.LSTM):  # type: ignore[misc]
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000)."""

    def reset_parameters(self) -> None:
        """Start values of `start`, and a forget bias of 1 (Jozefowicz et al. 2015, section 2.2)."""
        start(self)
        forget = slice(self.hidden_size, 2 * self.hidden_size)  # torch's rows: i, f, g, o
        self.get_parameter("bias_ih_l0").data[forget] = 1.0


class GRU(OneLayer, nn.GRU):  # type: ignore[misc]
    """Gated recurrent unit (Cho et al. 2014), reset gate after the matrix product as in cuDNN.

    That gate stands between the second bias and the first.
    """

    both_biases = True


class RNN(OneLayer, nn.RNN):  # type: ignore[misc]
    """The simple recurrent network with tanh (Elman 1990)."""


def start(cell: Any) -> None:
    """Orthogonal recurrent matrices (Saxe et al. 2014), uniform input ones, biases of zero."""
    bound = 1.0 / math.sqrt(cell.hidden_size)
    with torch.no_grad():
        for block in cell.weight_hh_l0.split(cell.hidden_size):
            nn.init.orthogonal_(block)
        cell.weight_ih_l0.uniform_(-bound, bound)
        cell.bias_ih_l0.zero_()
        cell.bias_hh_l0.zero_()


CELLS: dict[str, type[nn.RNNBase]] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
