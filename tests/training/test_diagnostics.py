"""Diagnostics: a network's problems are reported from its numbers, a healthy one has none."""

import pytest
import torch

from charrnn.training.diagnostics import (
    DEAD,
    EXPLODING,
    SATURATED,
    VANISHING,
    check_gradient,
    check_units,
    has_learned,
    is_telling,
)
from tests.support.tiny import tiny_model, tiny_train


@pytest.mark.parametrize(
    ("norm", "kinds"),
    [
        (1.0, []),
        (EXPLODING * 0.5, []),
        (EXPLODING * 0.5 * 1.01, ["exploding"]),
        (VANISHING, []),
        (VANISHING * 0.99, ["vanishing"]),
        (0.0, ["vanishing"]),
    ],
)
def test_a_gradient_explodes_or_vanishes(norm: float, kinds: list[str]) -> None:
    found = list(check_gradient(norm, 0.5))
    assert [issue.kind for issue in found] == kinds
    assert all(f"{norm:.3g}" in issue.text and "; try " in issue.text for issue in found)


def state(*outputs: torch.Tensor) -> list[tuple[torch.Tensor, ...]]:
    """A state of an LSTM with these outputs."""
    return [(h, torch.zeros_like(h)) for h in outputs]


def healthy(rows: int = 8, units: int = 8) -> torch.Tensor:
    return torch.linspace(-0.9, 0.9, rows * units).reshape(rows, units)


@pytest.mark.parametrize(
    ("value", "kind"), [(SATURATED + 1e-3, "saturated"), (DEAD / 2, "dead"), (0.5, None)]
)
@pytest.mark.parametrize(("stuck", "reported"), [(2, False), (3, True), (8, True)])
def test_units_that_do_not_move_are_reported_by_layer(
    value: float, kind: str | None, stuck: int, reported: bool
) -> None:
    h = healthy()
    h[:, :stuck] = -value
    found = list(check_units(tiny_model(), state(healthy(), h)))
    expected = [f"{kind} 1"] if kind and reported else []
    assert [issue.kind for issue in found] == expected
    for issue in found:
        assert f"{stuck / 8:.0%} of the units of layer 1" in issue.text


def test_a_unit_that_moves_in_one_row_is_neither() -> None:
    h = torch.zeros(8, 8)
    h[0] = 0.5
    assert list(check_units(tiny_model(), state(h))) == []


def test_of_few_rows_nothing_is_reported() -> None:
    assert list(check_units(tiny_model(), state(torch.zeros(3, 8)))) == []


def test_a_model_that_has_learned_everything_has_no_problem() -> None:
    """At a loss of nearly zero units are saturated and gradients gone, as they should be."""
    assert list(check_gradient(VANISHING / 2, 1.0, has_learned(1e-4, 4.0))) == []
    assert list(check_gradient(VANISHING / 2, 1.0, has_learned(2.0, 4.0))) != []
    train = tiny_train(warmup_steps=3)
    assert not is_telling(1000, train, 1e-4, 4.0)
    assert is_telling(1000, train, 2.0, 4.0)


def test_units_are_not_checked_before_they_have_moved() -> None:
    assert not is_telling(20, tiny_train(warmup_steps=3), 2.0, 4.0)
    assert not is_telling(500, tiny_train(warmup_steps=600), 2.0, 4.0)
    assert not is_telling(1000, tiny_train(), None, 4.0)  # a resumed run before its first line
