"""The recurrent layers and their initialization.

Each layer is torch's own one-layer module, which oneDNN on a CPU and cuDNN on a GPU run as one
fused operator. What is added is one calling convention: the state is a tuple of (B, H) tensors. A
cell that torch does not have derives from `SteppedLayer` and defines one step. `charrnn.config`
holds the shapes of each cell, `charrnn.inference.nodes` its step as an ONNX graph.
"""

import math
from abc import abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from charrnn.config import CELLS
from charrnn.models.functional import dropout
from charrnn.models.resets import Begins, lstm_columns

State = tuple[Tensor, ...]
"""A layer's hidden state: (h, c) for an LSTM, (h,) otherwise, each (B, H)."""

Gates = dict[str, Tensor]
"""Name of a gate -> its values (B, H). Those called `tanh` are tanh units, the others sigmoid."""


class RecurrentLayer(nn.Module):
    """What the cells share; comes before torch's own module in a class's list of bases.

    cell: its name in `config.CELLS`.
    """

    cell: ClassVar[str]

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size, batch_first=True)
        # torch's second bias is only added to the first in most cells. If both were trained, each
        # would get the same gradient, and their sum would learn twice as fast as intended.
        # It is still a parameter, because the fused operator and the checkpoints have both biases.
        self.get_parameter("bias_hh_l0").requires_grad_(CELLS[self.cell].two_biases)

    def reset_parameters(self) -> None:
        """Initialize by `init_weights`."""
        init_weights(self)

    def gates(self, inputs: Tensor, states: Tensor, after: Tensor) -> Gates:
        """Pre-activations from input and from state, each (B, gates * H), and the new h -> gates.

        For diagnostics: torch's modules compute the gates but do not return them.
        """
        return {}

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        weight_dropout: float = 0.0,
        begins: Begins | None = None,
    ) -> tuple[Tensor, State]:
        """(B, T, D) and a state -> (B, T, H) and the state after the last of the T inputs.

        `weight_dropout`: dropout of recurrent weights, the same for all T steps (Wan et al. 2013;
        in recurrent networks Merity et al. 2017). `begins`: where the state starts anew.
        """
        if begins is not None:
            return self.with_resets(x, state or zeros(self, x), weight_dropout, begins)
        # The parameters keep their values: the next step drops other weights of them.
        flat_weights: list[Tensor] = self._flat_weights  # type: ignore[has-type]
        if weight_dropout:
            first, recurrent, *biases = flat_weights
            # The fused operator reads its weights from this list.
            self._flat_weights = [first, dropout(recurrent, weight_dropout), *biases]
        try:
            if state is None:
                y, last = super().forward(x)
            else:
                # torch wants a state of (1, B, H) tensors, and a tuple of them only for an LSTM.
                parts = tuple(part.unsqueeze(0) for part in state)
                y, last = super().forward(x, parts if len(parts) > 1 else parts[0])
        finally:
            # Evaluations, and the next step's dropout, must find the complete weights again.
            self._flat_weights = flat_weights
        last = last if isinstance(last, tuple) else (last,)
        return y, tuple(part.squeeze(0) for part in last)

    def with_resets(
        self, x: Tensor, state: State, weight_dropout: float, begins: Begins
    ) -> tuple[Tensor, State]:
        """As `forward`, step by step: on a CPU torch's own GRU and RNN do the same inside."""
        return run_steps(self, x, state, weight_dropout, begins)

    def step(self, inputs: Tensor, weight_hh: Tensor, state: State) -> State:
        """As in SteppedLayer."""
        raise NotImplementedError


class LSTM(RecurrentLayer, nn.LSTM):  # type: ignore[misc]
    """Long short-term memory (Hochreiter & Schmidhuber 1997; forget gate: Gers et al. 2000)."""

    cell = "lstm"

    def reset_parameters(self) -> None:
        """As `init_weights`, with a forget bias of 1 (Jozefowicz et al. 2015, section 2.2)."""
        init_weights(self)
        # A forget gate near one passes gradients on, so long dependencies can be learned early.
        forget = slice(self.hidden_size, 2 * self.hidden_size)  # torch's rows: i, f, g, o
        self.get_parameter("bias_ih_l0").data[forget] = 1.0

    def with_resets(
        self, x: Tensor, state: State, weight_dropout: float, begins: Begins
    ) -> tuple[Tensor, State]:
        """As `forward`, by the fused operator with a slot for each beginning."""
        weight_ih, weight_hh, *biases = self._flat_weights
        if weight_dropout:
            weight_hh = dropout(weight_hh, weight_dropout)
        # nn.LSTM's own forward refuses inputs that are wider than its weights.
        y, _, c = torch.lstm(
            begins.slots.insert(x),
            [part.unsqueeze(0) for part in state],
            [lstm_columns(weight_ih), weight_hh, *biases],
            has_biases=True, num_layers=1, dropout=0.0, train=self.training, bidirectional=False,
            batch_first=True,
        )  # fmt: skip
        y = begins.slots.remove(y)
        # The last h is an output; c is what the slots after it have kept.
        return y, (y[:, -1], c.squeeze(0))

    def gates(self, inputs: Tensor, states: Tensor, after: Tensor) -> Gates:
        """Input, forget and output gate, and the tanh of the candidate."""
        i, f, g, o = (inputs + states).chunk(4, dim=1)
        sigmoids = {"input": i.sigmoid(), "forget": f.sigmoid(), "output": o.sigmoid()}
        return sigmoids | {"tanh": g.tanh()}


class GRU(RecurrentLayer, nn.GRU):  # type: ignore[misc]
    """Gated recurrent unit (Cho et al. 2014), reset gate after the matrix product as in cuDNN."""

    cell = "gru"

    def gates(self, inputs: Tensor, states: Tensor, after: Tensor) -> Gates:
        """Reset and update gate, and the tanh of the candidate."""
        (r, z, n), (hr, hz, hn) = inputs.chunk(3, dim=1), states.chunk(3, dim=1)
        # The reset gate scales `hn` alone, second bias included; hence a GRU trains both biases.
        reset = (r + hr).sigmoid()
        return {"reset": reset, "update": (z + hz).sigmoid(), "tanh": (n + reset * hn).tanh()}

    def step(self, inputs: Tensor, weight_hh: Tensor, state: State) -> State:
        """One token: h' = n + z (h - n)."""
        (h,) = state
        states = F.linear(h, weight_hh, self.get_parameter("bias_hh_l0"))
        gates = self.gates(inputs, states, h)
        return (gates["tanh"] + gates["update"] * (h - gates["tanh"]),)


class RNN(RecurrentLayer, nn.RNN):  # type: ignore[misc]
    """The simple recurrent network with tanh (Elman 1990)."""

    cell = "rnn"

    def gates(self, inputs: Tensor, states: Tensor, after: Tensor) -> Gates:
        """The tanh units themselves."""
        return {"tanh": after}

    def step(self, inputs: Tensor, weight_hh: Tensor, state: State) -> State:
        """One token: h' = tanh(inputs + U h)."""
        return (torch.addmm(inputs, state[0], weight_hh.t()).tanh(),)


class SteppedLayer(nn.Module):
    """A cell that torch has no module for: a subclass defines `step`, which is called T times.

    It has the parameters and the calling convention of the others, without their fused operator.
    """

    cell: ClassVar[str]

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        rows = CELLS[self.cell].gates * hidden_size
        self.weight_ih_l0 = nn.Parameter(torch.empty(rows, input_size))
        self.weight_hh_l0 = nn.Parameter(torch.empty(rows, hidden_size))
        self.bias_ih_l0 = nn.Parameter(torch.empty(rows))
        self.bias_hh_l0 = nn.Parameter(torch.empty(rows), CELLS[self.cell].two_biases)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Initialize by `init_weights`; a cell with a gate that should start open overrides it."""
        init_weights(self)

    @abstractmethod
    def step(self, inputs: Tensor, weight_hh: Tensor, state: State) -> State:
        """Inputs (B, gates * H), the product of input weights and input plus bias -> next state.

        The first tensor of the state is the layer's output.
        """

    def gates(self, inputs: Tensor, states: Tensor, after: Tensor) -> Gates:
        """As in RecurrentLayer."""
        return {}

    def forward(
        self,
        x: Tensor,
        state: State | None = None,
        weight_dropout: float = 0.0,
        begins: Begins | None = None,
    ) -> tuple[Tensor, State]:
        """(B, T, D) and a state -> (B, T, H) and the state after the last of the T inputs."""
        return run_steps(self, x, state or zeros(self, x), weight_dropout, begins)


def zeros(layer: Any, x: Tensor) -> State:
    """The state of a layer before its inputs (B, T, D)."""
    # One tensor serves for all parts, because steps return new ones.
    part = x.new_zeros(len(x), layer.hidden_size)
    return tuple(part for _ in CELLS[layer.cell].state)


def run_steps(
    layer: Any, x: Tensor, state: State, weight_dropout: float, begins: Begins | None
) -> tuple[Tensor, State]:
    """A layer that has a `step`, called for each of the T inputs; as its `forward`."""
    weight_hh: Tensor = layer.weight_hh_l0
    if weight_dropout:
        weight_hh = dropout(weight_hh, weight_dropout)
    bias: Tensor = layer.bias_ih_l0
    if not CELLS[layer.cell].two_biases:
        # Zero in a new layer, but weights from a file may have other values.
        bias = bias + layer.bias_hh_l0
    # The input's product does not depend on the state, so one large product serves all T steps.
    outputs = []
    for t, inputs in enumerate(F.linear(x, layer.weight_ih_l0, bias).unbind(1)):
        if begins is not None:
            state = tuple(part * begins.kept[t] for part in state)
        state = layer.step(inputs, weight_hh, state)
        outputs.append(state[0])
    return torch.stack(outputs, 1), state


def init_weights(cell: Any) -> None:
    """Orthogonal recurrent matrices (Saxe et al. 2014), uniform input matrices, zero biases."""
    # torch's own bound for all weights of these layers.
    bound = 1.0 / math.sqrt(cell.hidden_size)
    with torch.no_grad():
        # Block by block, (H, H): each then keeps the norm of h, and of gradients on their way back.
        # Blocks of one orthogonal (gates * H, H) matrix would not.
        for block in cell.weight_hh_l0.split(cell.hidden_size):
            nn.init.orthogonal_(block)
        cell.weight_ih_l0.uniform_(-bound, bound)
        cell.bias_ih_l0.zero_()
        cell.bias_hh_l0.zero_()


CELL_CLASSES: dict[str, type[nn.Module]] = {"lstm": LSTM, "gru": GRU, "rnn": RNN}
"""Cell name -> its class, called with input size and hidden size."""
