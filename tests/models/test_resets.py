"""States that start anew inside a window: exact, for every cell, and without a gradient across."""

import itertools

import pytest
import torch

from charrnn.config import CELLS, ModelConfig
from charrnn.models.device import has_bfloat16_lstm
from charrnn.models.resets import Begins
from charrnn.tasks.language.network import CharRNN, build

ANEW = 3
"""The id that begins a document."""


def networks(cell: str, **changes: object) -> tuple[CharRNN, CharRNN]:
    """A network that begins documents anew, and the same one that does not."""
    fields = {"vocab_size": 9, "num_layers": 2, "hidden_size": 6, "embedding_size": 6}
    plain = ModelConfig(cell=cell, **{**fields, **changes})  # type: ignore[arg-type]
    anew = ModelConfig(cell=cell, reset_id=ANEW, **{**fields, **changes})  # type: ignore[arg-type]
    return build(anew, seed=1, init_scale=0.7), build(plain, seed=1, init_scale=0.7)


def window(rows: int = 4, length: int = 17) -> torch.Tensor:
    """Ids of documents of all lengths; the first row has no beginning, the last begins with one."""
    ids = torch.randint(0, 9, (rows, length), generator=torch.Generator().manual_seed(2))
    ids[0] = ids[0].masked_fill(ids[0] == ANEW, 1)
    ids[-1, 0] = ids[-1, 1] = ANEW
    return ids


def any_state(
    network: CharRNN, rows: int = 4, scale: float = 1.0
) -> list[tuple[torch.Tensor, ...]]:
    """A state that the window before has left."""
    draw = torch.Generator().manual_seed(3)
    return [
        tuple(scale * torch.randn(part.shape, generator=draw) for part in layer)
        for layer in network.zero_state(rows)
    ]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("residual", [False, True])
def test_a_window_reads_as_its_documents_do_one_by_one(cell: str, residual: bool) -> None:
    network, plain = networks(cell, residual=residual)
    ids, before = window(), any_state(network)
    logits, after = network(ids, before)
    for row in range(len(ids)):
        state = [tuple(part[row : row + 1] for part in layer) for layer in before]
        for t, token in enumerate(ids[row].tolist()):
            state = plain.zero_state(1) if token == ANEW else state
            wanted, state = plain(ids[row : row + 1, t : t + 1], state)
            torch.testing.assert_close(logits[row, t], wanted[0, 0], rtol=0, atol=1e-5)
        for got, layer in zip(after, state, strict=True):
            for a, b in zip(got, layer, strict=True):
                torch.testing.assert_close(a[row], b[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("weight_dropout", [0.0, 0.5])
@pytest.mark.parametrize("bfloat16", [False, True])
def test_nothing_from_before_a_document_is_left_not_even_a_bit(
    cell: str, weight_dropout: float, bfloat16: bool
) -> None:
    if bfloat16 and cell == "lstm" and not has_bfloat16_lstm():
        pytest.skip("this processor has none")
    network, _ = networks(cell, weight_dropout=weight_dropout)
    ids = window()
    found = []
    for scale in (0.0, 1.0, 1e3):
        torch.manual_seed(5)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            found.append(network(ids, any_state(network, scale=scale))[0])
    for row in range(1, len(ids)):
        first = int((ids[row] == ANEW).nonzero()[0])
        for other in found[1:]:
            assert torch.equal(other[row, first:], found[0][row, first:])
            if first:
                assert not torch.equal(other[row, :first], found[0][row, :first])


@pytest.mark.parametrize("cell", CELLS)
def test_gradients_are_those_of_the_documents_one_by_one(cell: str) -> None:
    network, plain = networks(cell)
    ids, before = window(1, 12), any_state(network, 1)
    ids[0, 4] = ANEW
    targets = ids.roll(-1, 1)
    loss, _, _ = network.loss((ids, targets), before)
    loss.backward()  # type: ignore[no-untyped-call]
    cuts = [0, *(t for t in range(1, 12) if ids[0, t] == ANEW), 12]
    for first, end in itertools.pairwise(cuts):
        begins = ids[0, first] == ANEW
        part = (ids[:, first:end], targets[:, first:end])
        own, _, _ = plain.loss(part, plain.zero_state(1) if begins else before)
        (own * (end - first) / 12).backward()  # type: ignore[no-untyped-call]
    for (name, a), b in zip(network.named_parameters(), plain.parameters(), strict=True):
        if b.grad is not None:
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("cell", CELLS)
def test_no_gradient_passes_the_beginning_of_a_document(cell: str) -> None:
    network, _ = networks(cell)
    ids = window(1, 6)
    ids[0] = torch.tensor([1, 2, ANEW, 4, 5, 6])
    state = any_state(network, 1)
    parts = [part.requires_grad_(True) for layer in state for part in layer]
    logits, _ = network(ids, state)
    for grad in torch.autograd.grad(logits[0, 2:].sum(), parts, allow_unused=True):
        assert grad is None or not grad.any()


def test_a_window_without_a_beginning_is_read_as_ever() -> None:
    network, plain = networks("lstm")
    ids = torch.ones(2, 5, dtype=torch.int64)
    assert network.begins(ids) is None
    assert plain.begins(window()) is None
    assert torch.equal(network(ids)[0], plain(ids)[0])


def test_every_document_takes_one_slot_and_shorter_rows_are_filled_up() -> None:
    mask = torch.tensor([[True, False, True], [False, True, False], [False, False, False]])
    slots = Begins(mask).slots
    assert slots.flags.shape == (3, 5, 2)
    assert slots.flags.sum(1).tolist() == [[2, 0], [1, 1], [0, 2]]
    x = torch.arange(9.0).view(3, 3, 1)
    assert torch.equal(slots.remove(slots.insert(x))[..., :1], x)
