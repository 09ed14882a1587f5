"""Units that are held or pushed: by hand, by cell, in batches, in int8; and what is refused."""

import numpy as np
import pytest

from charrnn.checkpoints.checkpoint import Checkpoint, CheckpointInfo
from charrnn.config import ModelConfig
from charrnn.errors import UsageError
from charrnn.inference.engine import Engine
from charrnn.inference.steering import Steer, Unit, parse_steer, parse_steers
from tests.support.tiny import random_weights, tiny_model, tiny_tokenizer

IDS = np.array([[3, 5], [4, 1], [7, 2], [2, 9], [5, 5]])


def made(cell: str, **changes: object) -> Checkpoint:
    model = tiny_model(cell, vocab_size=tiny_tokenizer().vocab_size, **changes)
    return Checkpoint(model, tiny_tokenizer(), random_weights(model), CheckpointInfo(0, 0.0, {}))


def engine(cell: str, *steers: str, precision: str = "float32") -> Engine:
    model = made(cell)
    return Engine(model, 1, precision, parse_steers(steers, model.config))


def stepped(found: Engine, ids: np.ndarray) -> tuple[np.ndarray, list[np.ndarray]]:
    """The logits after the last token, and the state."""
    state = found.zero_state(ids.shape[1])
    for row in ids:
        logits, state = found.step(row, state)
    return logits, state


def of(cell: str, layer: int) -> int:
    """Which part of the state holds the units of a layer, counted from 0."""
    return 2 * layer + 1 if cell == "lstm" else layer


@pytest.mark.parametrize("cell", ["lstm", "gru", "rnn"])
@pytest.mark.parametrize("layer", [0, 1])
def test_a_unit_is_held_and_what_reads_it_sees_that(cell: str, layer: int) -> None:
    plain, state = stepped(engine(cell), IDS)
    held, own = stepped(engine(cell, f"{layer + 1}:3=0.5"), IDS)
    part = of(cell, layer)
    assert (own[part][:, 2] == 0.5).all()
    assert (state[part][:, 2] != 0.5).all()
    assert np.abs(held - plain).max() > 1e-3
    if cell == "lstm":
        # h is made of the c that is held: its size is at most tanh(0.5).
        assert (np.abs(own[part - 1][:, 2]) <= np.tanh(0.5)).all()


@pytest.mark.parametrize("cell", ["gru", "rnn"])
def test_a_push_stays_within_the_units_bounds(cell: str) -> None:
    _, state = stepped(engine(cell, "1:3=+2", "2:1=-2"), IDS)
    assert (state[0][:, 2] == 1).all()
    assert (state[1][:, 0] == -1).all()


def test_a_push_of_a_cell_is_seen_and_not_kept() -> None:
    once, twice = stepped(engine("lstm", "2:3=+2"), IDS[:1]), stepped(engine("lstm"), IDS[:1])
    # The top layer's own state c is what it is without; h, which the output reads, is another.
    assert once[1][3] == pytest.approx(twice[1][3])
    assert (once[1][2][:, 2] != twice[1][2][:, 2]).all()
    assert np.abs(once[0] - twice[0]).max() > 1e-3


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_a_push_of_nothing_changes_nothing(cell: str) -> None:
    plain, same = stepped(engine(cell), IDS), stepped(engine(cell, "1:3=+0"), IDS)
    assert (plain[0] == same[0]).all()


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_rows_and_parts_of_a_prompt_do_not_change_a_result(precision: str) -> None:
    found = engine("lstm", "1:3=2", "2:5=-1", precision=precision)
    long = np.tile(IDS, (30, 1))
    logits, state = found.read_prompt(long, found.zero_state(2))
    alone, _ = stepped(found, long[:, 1:])
    assert (logits[1:] == alone).all()
    assert (state[1][:, 2] == 2).all()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1:3=2", Steer(Unit(1, 3), 2.0)),
        ("1:3=+2", Steer(Unit(1, 3), 2.0, adds=True)),
        ("1:3=-.5", Steer(Unit(1, 3), -0.5, adds=True)),
        ("1:3==-.5", Steer(Unit(1, 3), -0.5)),
        ("1:3==+1", Steer(Unit(1, 3), 1.0)),
    ],
)
def test_a_sign_pushes_and_a_second_equals_sets(text: str, expected: Steer) -> None:
    config = ModelConfig()
    assert parse_steer(text, config) == expected
    assert parse_steer(str(expected), config) == expected


@pytest.mark.parametrize("text", ["1:3", "1:3=", "1:3=x", "1:3=nan", "1:3=1e9", "9:1=1", "=2"])
def test_what_is_no_unit_and_amount_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_steer(text, ModelConfig())


def test_a_unit_of_a_gru_cannot_be_held_beyond_its_bounds_or_steered_twice() -> None:
    with pytest.raises(UsageError, match="a unit of a gru can have"):
        parse_steer("1:3=2", ModelConfig(cell="gru"))
    assert parse_steer("1:3=+2", ModelConfig(cell="gru")).adds
    with pytest.raises(UsageError, match="twice"):
        parse_steers(["1:3=1", "1:3=+1"], ModelConfig())
