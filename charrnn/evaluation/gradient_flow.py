"""How far back a gradient reaches in a recurrent network: d loss(t) / d h(t-k) for k = 0, 1, 2 ...

The loss of a token is a function of every earlier hidden state. Where the norm of its derivative
decays within a few tokens, nothing can be learned from what came earlier (Hochreiter 1991,
"Untersuchungen zu dynamischen neuronalen Netzen"); where it grows, training becomes unstable
(Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks", section
2). The gates of an LSTM and a GRU are there to keep it from decaying.
"""

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from charrnn.errors import CorpusError
from charrnn.models.cells import State
from charrnn.models.recurrent import RecurrentNetwork

WARM_UP = 100
"""Tokens read before the first state whose gradient is measured, so that no state is empty."""

CLOSED, OPEN = 0.1, 0.9
"""A sigmoid gate outside these is saturated; so is a tanh unit beyond +-OPEN."""


@dataclass(frozen=True)
class GradientFlow:
    """Gradients of one model: norms averaged over positions, of all layers' units together.

    norms: `norms[k]` is the norm of d loss(t) / d h(t-k) in nats. cell_norms: the same for an
    LSTM's cell state c as it is carried on, with h fixed: 0 at k = 0, where it is not carried yet;
    empty for other cells. saturated: gate -> fraction of its values that are saturated.
    """

    norms: tuple[float, ...]
    cell_norms: tuple[float, ...]
    saturated: dict[str, float]
    positions: int

    def relative(self, norms: tuple[float, ...]) -> tuple[float, ...]:
        """Norms -> their ratio to the norm of h at k = 0; unchanged if that one is 0."""
        return tuple(norm / (self.norms[0] or 1.0) for norm in norms)

    @property
    def factor(self) -> float:
        """By how much one step back multiplies the norm: a least-squares line through its log.

        It is fitted from k = 1 to the last norm above zero. NaN if there are fewer than two.
        """
        norms = np.array(self.norms[1:])
        # argmin of a boolean array is the first False: a norm of zero has no logarithm.
        last = int(np.argmin(norms > 0)) if (norms <= 0).any() else len(norms)
        if last < 2:
            return math.nan
        return float(np.exp(np.polyfit(np.arange(last), np.log(norms[:last]), 1)[0]))

    @property
    def half_life(self) -> float:
        """Tokens in which the norm halves, by `factor`; infinite if it does not decay."""
        factor = self.factor
        return math.log(0.5) / math.log(factor) if 0 < factor < 1 else math.inf

    def to_json(self) -> dict[str, Any]:
        """All figures; null for what is not a finite number."""
        figures = {"factor_per_token": self.factor, "half_life_tokens": self.half_life}
        return {
            "positions": self.positions,
            "norms": list(self.norms),
            "cell_norms": list(self.cell_norms),
            "saturated": self.saturated,
        } | {name: value if math.isfinite(value) else None for name, value in figures.items()}


def measure(
    model: Any, tokens: NDArray[np.unsignedinteger], reach: int = 100, positions: int = 64
) -> GradientFlow:
    """A language network and N tokens -> its gradients at positions spread evenly over the tokens.

    Computed in double precision on the CPU, without dropout; the model is not changed. CorpusError
    if N is less than `reach` + 2.
    """
    if len(tokens) < reach + 2:
        raise CorpusError(
            f"{len(tokens):,} tokens of text are too few to look {reach:,} tokens back",
            f"give more text or a --reach of at most {max(1, len(tokens) - 2)}",
        )
    warm_up = min(WARM_UP, len(tokens) - reach - 2)
    # A window is the warm-up, reach + 1 tokens whose states are measured, and the target.
    begins = np.linspace(0, len(tokens) - reach - 2 - warm_up, positions).round().astype(int)
    windows = begins[:, None] + np.arange(warm_up + reach + 2)[None, :]
    ids = torch.from_numpy(tokens[windows].astype(np.int64))  # (B, warm-up + reach + 2)
    # In float32, gradients over a long reach would underflow to zero.
    own = copy.deepcopy(model).cpu().double().eval().requires_grad_(False)
    state = own.zero_state(positions)
    if warm_up:
        _, state = own(ids[:, :warm_up], state)
    return _backward(own, ids[:, warm_up:-1], ids[:, -1], state)


def _backward(model: Any, ids: Tensor, target: Tensor, state: list[State]) -> GradientFlow:
    """From the loss of `target` (B,) back through the states after each of `ids` (B, K + 1)."""
    for part in (part for layer in state for part in layer):
        part.requires_grad_(True)  # where the graph begins; the weights need no gradients
    counts: dict[str, list[float]] = {}
    read = list(unrolled(model, ids, state, counts))
    states, x = [after for _, after in read], read[-1][0]
    # The rows do not depend on each other, so the derivative of the sum contains each row's own.
    loss = F.cross_entropy(model.output(x), target, reduction="sum")
    parts = range(len(state[0]))
    # For k = 0, 1 ..., for each part of the state: the tensors of all layers.
    wanted = [[layer[part] for layer in each] for each in reversed(states) for part in parts]
    # Materialized: the cell state c after the last token is not read by the loss, and would give
    # None instead of zeros.
    flat = torch.autograd.grad(
        loss, [one for layers in wanted for one in layers], materialize_grads=True
    )
    # The norm over the units of all layers (B, layers * H), averaged over the positions.
    depth = len(state)
    norms = [
        float(torch.cat(flat[i : i + depth], dim=1).norm(dim=1).mean())
        for i in range(0, len(flat), depth)
    ]
    saturated = {gate: float(np.mean(fractions)) for gate, fractions in counts.items()}
    # The norms alternate between the parts: h first, and for an LSTM then c.
    cells = norms[1 :: len(parts)] if len(parts) > 1 else []
    return GradientFlow(tuple(norms[:: len(parts)]), tuple(cells), saturated, len(target))


def unrolled(
    model: RecurrentNetwork, ids: Tensor, state: list[State], saturated: dict[str, list[float]]
) -> Iterator[tuple[Tensor, list[State]]]:
    """(B, T) ids one by one -> what the output layer reads (B, H), and the state, after each.

    In a fused call the state and what the layer above reads are different tensors. Here they are
    the same, so that a derivative by the state is complete. The saturated fraction of each gate is
    appended to `saturated`.
    """
    for column in ids.T:
        x, after = model.embed(column), []
        begins = model.begins(column[:, None])
        if begins is not None:
            # No gradient passes the beginning of a document.
            state = [tuple(part * begins.kept[0] for part in layer) for layer in state]
        for index, layer in enumerate(model.layers):
            # A sequence of one token: (B, D) -> (B, 1, D).
            _, new = layer(x[:, None], state[index])
            for name, fraction in saturation(layer, x, state[index][0], new[0]).items():
                saturated.setdefault(name, []).append(fraction)
            x = model.combine(index, x, new[0])
            after.append(new)
        state = after
        yield x, state


def saturation(layer: Any, x: Tensor, before: Tensor, after: Tensor) -> dict[str, float]:
    """Inputs (B, D) and states (B, H) of a layer -> the saturated fraction of each gate."""
    with torch.no_grad():
        inputs = F.linear(x, layer.weight_ih_l0, layer.bias_ih_l0)
        states = F.linear(before, layer.weight_hh_l0, layer.bias_hh_l0)
        gates = layer.gates(inputs, states, after)
        return {name: _saturated_fraction(name, gate) for name, gate in gates.items()}


def _saturated_fraction(name: str, values: Tensor) -> float:
    if name == "tanh":
        return float((values.abs() > OPEN).double().mean())
    return float(((values < CLOSED) | (values > OPEN)).double().mean())
