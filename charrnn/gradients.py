"""How far back a gradient reaches in a recurrent network: d loss(t) / d h(t-k) for k = 0, 1, 2 ...

The loss of one token is a function of every hidden state before it. Where the norm of its
derivative falls off within a few tokens, nothing can be learned from what stood earlier (Hochreiter
1991, "Untersuchungen zu dynamischen neuronalen Netzen"); where it grows, training becomes unstable
(Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks", section
2). The gates of an LSTM and a GRU are there to keep it from falling.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from charrnn.cells import State
from charrnn.errors import CorpusError
from charrnn.model import CharRNN

WARM_UP = 100
"""Tokens read before the first state whose gradient is asked for, so that no state is empty."""

SHUT, OPEN = 0.1, 0.9
"""Outside these a sigmoid gate is saturated; beyond +-OPEN a tanh unit is."""

Gates = dict[str, Tensor]
"""Name of a gate -> its values (B, H). Those called `tanh` are tanh units, the others sigmoid."""


@dataclass(frozen=True)
class Reach:
    """Gradients of one model. Norms are means over positions and all layers' units together.

    `norms[k]` is that of d loss(t) / d h(t-k) in nats. `cell_norms` are the same of an LSTM's cell
    state c as it is carried on, h held fixed: 0 at k = 0, where it is not carried yet; empty for
    other cells. `saturated` maps a gate to the share of its values that are saturated.
    """

    norms: tuple[float, ...]
    cell_norms: tuple[float, ...]
    saturated: dict[str, float]
    positions: int

    def relative(self, norms: tuple[float, ...]) -> tuple[float, ...]:
        """These norms in proportion to that of h at k = 0; as they are where that one is 0."""
        return tuple(norm / (self.norms[0] or 1.0) for norm in norms)

    @property
    def factor(self) -> float:
        """By how much a step back multiplies the norm: the line of least squares through its log.

        It is taken from k = 1 on, to the last norm that is not zero. NaN where fewer than two are.
        """
        norms = np.array(self.norms[1:])
        last = int(np.argmin(norms > 0)) if (norms <= 0).any() else len(norms)
        if last < 2:
            return math.nan
        return float(np.exp(np.polyfit(np.arange(last), np.log(norms[:last]), 1)[0]))

    @property
    def half_life(self) -> float:
        """Tokens in which the norm halves, by `factor`; infinite where it does not fall."""
        factor = self.factor
        return math.log(0.5) / math.log(factor) if 0 < factor < 1 else math.inf

    def to_json(self) -> dict[str, Any]:
        """All figures; what is no finite number is null."""
        figures = {"factor_per_token": self.factor, "half_life_tokens": self.half_life}
        return {
            "positions": self.positions,
            "norms": list(self.norms),
            "cell_norms": list(self.cell_norms),
            "saturated": self.saturated,
        } | {name: value if math.isfinite(value) else None for name, value in figures.items()}


def measure(
    model: CharRNN, tokens: NDArray[np.unsignedinteger], reach: int = 100, positions: int = 64
) -> Reach:
    """The gradients of a model's loss at so many positions of N tokens, spread evenly over them.

    It is computed in double precision on the CPU, without dropout; the model is left as it was.
    CorpusError where N is less than `reach` + 2.
    """
    if len(tokens) < reach + 2:
        raise CorpusError(
            f"{len(tokens):,} tokens of text are too few to look {reach:,} tokens back",
            f"give more text or a --reach of at most {max(1, len(tokens) - 2)}",
        )
    warm_up = min(WARM_UP, len(tokens) - reach - 2)
    begins = np.linspace(0, len(tokens) - reach - 2 - warm_up, positions).round().astype(int)
    windows = begins[:, None] + np.arange(warm_up + reach + 2)[None, :]
    ids = torch.from_numpy(tokens[windows].astype(np.int64))  # (B, warm-up + reach + 2)
    own = CharRNN(model.config).double().eval().requires_grad_(False)
    own.load_state_dict(model.state_dict())
    state = own.zero_state(positions)
    if warm_up:
        _, state = own(ids[:, :warm_up], state)
    return _back(own, ids[:, warm_up:-1], ids[:, -1], state)


def _back(model: CharRNN, ids: Tensor, target: Tensor, state: list[State]) -> Reach:
    """From the loss of `target` (B,) back through the states after each of `ids` (B, K + 1)."""
    for part in (part for layer in state for part in layer):
        part.requires_grad_(True)  # a beginning; the weights need no gradients
    counts: dict[str, list[float]] = {}
    read = list(unrolled(model, ids, state, counts))
    states, x = [after for _, after in read], read[-1][0]
    loss = F.cross_entropy(model.output(x), target, reduction="sum")
    parts = range(len(state[0]))
    wanted = [[layer[part] for layer in each] for each in reversed(states) for part in parts]
    flat = torch.autograd.grad(
        loss, [one for layers in wanted for one in layers], materialize_grads=True
    )
    depth = len(state)
    norms = [
        float(torch.cat(flat[i : i + depth], dim=1).norm(dim=1).mean())
        for i in range(0, len(flat), depth)
    ]
    saturated = {gate: float(np.mean(shares)) for gate, shares in counts.items()}
    cells = norms[1 :: len(parts)] if len(parts) > 1 else []
    return Reach(tuple(norms[:: len(parts)]), tuple(cells), saturated, len(target))


def unrolled(
    model: CharRNN, ids: Tensor, state: list[State], saturated: dict[str, list[float]]
) -> Iterator[tuple[Tensor, list[State]]]:
    """Read (B, T) ids one by one: after each, what the output layer gets (B, H), and the state.

    Unlike in a fused call, the tensor that is the state is the one that the layer above reads, so
    that a derivative by it is the whole one. To `saturated` the shares of each gate are added.
    """
    for column in ids.T:
        x, after = model.embedding(column), []
        for index, layer in enumerate(model.layers):
            _, new = layer(x[:, None], state[index])
            for name, share in saturation(layer, x, state[index][0], new[0]).items():
                saturated.setdefault(name, []).append(share)
            x = x + new[0] if model.config.residual and index > 0 else new[0]
            after.append(new)
        state = after
        yield x, state


def saturation(layer: Any, x: Tensor, before: Tensor, after: Tensor) -> dict[str, float]:
    """The share of saturated values of each gate, for inputs (B, D) and states (B, H)."""
    with torch.no_grad():
        kind = GATES[layer.mode]
        inputs = F.linear(x, layer.weight_ih_l0, layer.bias_ih_l0)
        states = F.linear(before, layer.weight_hh_l0, layer.bias_hh_l0)
        return {name: _share(name, gate) for name, gate in kind(inputs, states, after).items()}


def _share(name: str, values: Tensor) -> float:
    if name == "tanh":
        return float((values.abs() > OPEN).double().mean())
    return float(((values < SHUT) | (values > OPEN)).double().mean())


def _lstm(inputs: Tensor, states: Tensor, after: Tensor) -> Gates:
    i, f, g, o = (inputs + states).chunk(4, dim=1)
    gates = {"input": i.sigmoid(), "forget": f.sigmoid(), "output": o.sigmoid()}
    return gates | {"tanh": g.tanh()}


def _gru(inputs: Tensor, states: Tensor, after: Tensor) -> Gates:
    (r, z, n), (hr, hz, hn) = inputs.chunk(3, dim=1), states.chunk(3, dim=1)
    reset = (r + hr).sigmoid()
    return {"reset": reset, "update": (z + hz).sigmoid(), "tanh": (n + reset * hn).tanh()}


def _rnn(inputs: Tensor, states: Tensor, after: Tensor) -> Gates:
    return {"tanh": after}


GATES: dict[str, Callable[[Tensor, Tensor, Tensor], Gates]] = {
    "LSTM": _lstm, "GRU": _gru, "RNN_TANH": _rnn,
}  # fmt: skip
"""Torch's name of a cell -> its gates, from what inputs and state contribute and the state after;
torch's own modules compute the same but do not show it."""
