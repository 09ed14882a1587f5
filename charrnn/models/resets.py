"""Where the state starts anew inside a window, at the beginning of each document.

A cell that is stepped multiplies its state by a mask. A fused operator runs through a window in one
call, so slots are put into the window: a slot before the beginning of a document closes all gates,
which leaves a state of exact zeros, and slots that fill up the shorter rows keep c as it is. Their
outputs are left out again. It costs a slot for each document, and no gradient passes one.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

SHUT = 1e4
"""A pre-activation whose sigmoid is exactly 1, and with a minus exactly 0, also in bfloat16."""


@dataclass(frozen=True)
class Slots:
    """How a window (B, T) becomes one with slots (B, S), and its outputs one without.

    source: (B * S,) the position in the window that each place reads; any in a slot. places:
    (B * T,) the place of each position. flags: (B, S, 2), 1 where a slot resets the state, and
    where one keeps it.
    """

    source: Tensor
    places: Tensor
    flags: Tensor

    def insert(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, S, D + 2): a row for each slot, and the flags as inputs of their own."""
        rows, length, _ = self.flags.shape
        wide = x.flatten(0, 1).index_select(0, self.source).view(rows, length, -1)
        return torch.cat([wide, self.flags.to(x.dtype)], 2)

    def remove(self, y: Tensor) -> Tensor:
        """(B, S, H) -> (B, T, H): what was read in the slots is left out."""
        return y.flatten(0, 1).index_select(0, self.places).view(len(y), -1, y.shape[2])


class Begins:
    """The positions of a window (B, T) before which the state is zero.

    >>> mask = torch.tensor([[False, True, False], [False, False, False]])
    >>> Begins(mask).slots.flags[0].T.tolist()
    [[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
    >>> Begins(mask).slots.flags[1].T.tolist()
    [[0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]]
    """

    def __init__(self, mask: Tensor) -> None:
        self.mask = mask

    @cached_property
    def kept(self) -> tuple[Tensor, ...]:
        """For each of T steps what the state before it is multiplied by, (B, 1)."""
        return (~self.mask).float().unsqueeze(2).unbind(1)

    @cached_property
    def slots(self) -> Slots:
        """The slots for a fused layer; they serve all layers of a network."""
        rows, length = self.mask.shape
        device = self.mask.device
        before = self.mask.cumsum(1)  # slots before each position, its own one included
        longest = length + int(before[:, -1].max())
        places = torch.arange(length, device=device) + before
        first = longest * torch.arange(rows, device=device).unsqueeze(1)
        flat = (places + first).flatten()
        source = torch.zeros(rows * longest, dtype=torch.int64, device=device)
        source[flat] = torch.arange(rows * length, device=device)
        is_slot = torch.ones(rows * longest, dtype=torch.bool, device=device)
        is_slot[flat] = False
        after = torch.arange(longest, device=device) > places[:, -1:]
        resets = is_slot.view(rows, longest) & ~after
        return Slots(source, flat, torch.stack([resets, after], 2).float())


def lstm_columns(weight_ih: Tensor) -> Tensor:
    """An LSTM's input weights (4H, D) -> the same and the weights of both flags, (4H, D + 2).

    To reset, input, forget and output gate are shut, so c and h become 0. To keep c, the forget
    gate is open and the input gate shut.
    """
    gates = [[-SHUT, -SHUT], [-SHUT, SHUT], [0.0, 0.0], [-SHUT, 0.0]]  # input, forget, cell, output
    columns = weight_ih.new_tensor(gates).repeat_interleave(len(weight_ih) // 4, 0)
    return torch.cat([weight_ih, columns], 1)
