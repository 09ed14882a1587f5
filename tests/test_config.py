"""The two configurations: bounds of every field, shapes of every parameter."""

import dataclasses
import math
from dataclasses import asdict
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from charrnn.config import (
    CELLS,
    ModelConfig,
    TrainConfig,
    _number,
    config_to_json,
    num_parameters,
    parameter_shapes,
    read_config,
    state_shapes,
)
from charrnn.errors import UsageError
from charrnn.inference.nodes import CELL_NODES
from charrnn.models.cells import CELL_CLASSES

FIELDS = [(kind, item) for kind in (ModelConfig, TrainConfig) for item in dataclasses.fields(kind)]
NUMBERS = [(kind, item) for kind, item in FIELDS if "low" in item.metadata]
WHOLE = [(kind, item) for kind, item in NUMBERS if isinstance(item.default, int)]
REAL = [(kind, item) for kind, item in NUMBERS if isinstance(item.default, float)]
SWITCHES = [(kind, item) for kind, item in FIELDS if isinstance(item.default, bool)]

Kind = Any  # one of the two classes
Field = dataclasses.Field[Any]


def each(fields: list[tuple[Kind, Field]]) -> pytest.MarkDecorator:
    """A test for each of these fields, called after it."""
    return pytest.mark.parametrize(("kind", "item"), fields, ids=[item.name for _, item in fields])


def option(item: Field) -> str:
    return "--" + item.name.replace("_", "-")


@each(FIELDS)
def test_every_field_explains_itself_and_has_a_default_within_bounds(
    kind: Kind, item: Field
) -> None:
    assert item.metadata["help"].endswith(".")
    assert {"low", "choices"} & item.metadata.keys() or isinstance(item.default, bool)
    kind(**{item.name: item.default})


@each(NUMBERS)
def test_both_bounds_are_allowed(kind: Kind, item: Field) -> None:
    for bound in (item.metadata["low"], item.metadata["high"]):
        assert getattr(kind(**{item.name: bound}), item.name) == bound


@each(NUMBERS)
def test_a_number_beyond_its_bounds_is_refused_by_the_name_of_its_option(
    kind: Kind, item: Field
) -> None:
    low, high = item.metadata["low"], item.metadata["high"]
    beyond: list[float] = [math.nextafter(low, -math.inf), math.nextafter(high, math.inf)]
    if isinstance(item.default, int):
        beyond = [low - 1, high + 1]
    for value in beyond:
        with pytest.raises(UsageError, match=rf"^{option(item)} is .*; give a .*number from"):
            kind(**{item.name: value})


@each(NUMBERS)
@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, "1", None, True, False, [1], 1j, 10**400, -(10**400)],
    ids=lambda value: repr(value)[:12],
)
def test_what_is_not_a_finite_number_is_refused(kind: Kind, item: Field, value: Any) -> None:
    with pytest.raises(UsageError, match=option(item)):
        kind(**{item.name: value})


@each(WHOLE)
def test_a_count_must_be_whole(kind: Kind, item: Field) -> None:
    with pytest.raises(UsageError, match="give a whole number from"):
        kind(**{item.name: float(item.metadata["high"])})


@each(REAL)
def test_a_whole_number_may_be_given_for_a_real_one(kind: Kind, item: Field) -> None:
    whole = math.ceil(item.metadata["low"])
    assert getattr(kind(**{item.name: whole}), item.name) == whole


@each(SWITCHES)
@pytest.mark.parametrize("value", [0, 1, "yes", None])
def test_a_switch_is_on_or_off(kind: Kind, item: Field, value: Any) -> None:
    with pytest.raises(UsageError, match=rf"{option(item)} is .*; it is either on or off"):
        kind(**{item.name: value})


@pytest.mark.parametrize("value", ["LSTM", "", None, 3, ["lstm"], {"lstm": 1}])
def test_a_cell_must_be_one_of_those_there_are(value: Any) -> None:
    with pytest.raises(UsageError, match=r"--cell is .*; choose one of lstm, gru, rnn"):
        ModelConfig(cell=value)


def test_tied_weights_need_equal_sizes() -> None:
    ModelConfig(tie_weights=True, embedding_size=8, hidden_size=8)
    with pytest.raises(UsageError, match="embedding_size is 8 and hidden_size 9; give both"):
        ModelConfig(tie_weights=True, embedding_size=8, hidden_size=9)


@pytest.mark.parametrize("kind", [ModelConfig, TrainConfig])
def test_a_config_is_frozen_and_comes_back_from_its_fields(kind: Kind) -> None:
    config = kind()
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(config, dataclasses.fields(kind)[0].name, 1)
    assert read_config(kind, asdict(config)) == config


@each([(kind, item) for kind, item in FIELDS if not item.metadata.get("added")])
def test_a_missing_field_is_named(kind: Any, item: Field) -> None:
    data = asdict(kind())
    del data[item.name]
    with pytest.raises(UsageError, match=f"{kind.__name__} and the file differ.*'{item.name}'"):
        read_config(kind, data)


@pytest.mark.parametrize("kind", [ModelConfig, TrainConfig])
def test_an_unknown_field_is_named(kind: Any) -> None:
    with pytest.raises(UsageError, match="differ in the field 'module'"):
        read_config(kind, asdict(kind()) | {"module": "os"})


def test_read_config_holds_the_bounds_too() -> None:
    with pytest.raises(UsageError, match="--num-layers is 33"):
        read_config(ModelConfig, asdict(ModelConfig()) | {"num_layers": 33})


def test_every_cell_has_gates_a_state_a_class_and_a_node_builder() -> None:
    assert CELLS.keys() == CELL_CLASSES.keys() == CELL_NODES.keys()
    assert all(spec.gates >= 1 for spec in CELLS.values())
    assert all(spec.state[0] == "h" for spec in CELLS.values())


def test_shapes_of_a_small_lstm_are_exactly_these() -> None:
    config = ModelConfig(vocab_size=5, num_layers=2, hidden_size=3, embedding_size=2)
    assert parameter_shapes(config) == {
        "embedding.weight": (5, 2),
        "layers.0.weight_ih_l0": (12, 2),
        "layers.0.weight_hh_l0": (12, 3),
        "layers.0.bias_ih_l0": (12,),
        "layers.0.bias_hh_l0": (12,),
        "layers.1.weight_ih_l0": (12, 3),
        "layers.1.weight_hh_l0": (12, 3),
        "layers.1.bias_ih_l0": (12,),
        "layers.1.bias_hh_l0": (12,),
        "output.weight": (5, 3),
        "output.bias": (5,),
    }
    assert num_parameters(config) == 10 + (24 + 36 + 24) + (36 + 36 + 24) + 15 + 5


@pytest.mark.parametrize(("cell", "rows"), [("lstm", 12), ("gru", 9), ("rnn", 3)])
def test_a_cell_has_a_block_of_rows_for_each_gate(cell: str, rows: int) -> None:
    shapes = parameter_shapes(ModelConfig(cell=cell, hidden_size=3, embedding_size=2))
    assert shapes["layers.0.weight_ih_l0"] == (rows, 2)
    assert shapes["layers.0.weight_hh_l0"] == (rows, 3)
    assert shapes["layers.0.bias_ih_l0"] == (rows,)


def test_tied_weights_leave_the_output_weight_out() -> None:
    free = parameter_shapes(ModelConfig(embedding_size=8, hidden_size=8))
    tied = parameter_shapes(ModelConfig(embedding_size=8, hidden_size=8, tie_weights=True))
    assert free.keys() - tied.keys() == {"output.weight"}
    assert "output.bias" in tied


def test_states_come_layer_by_layer_and_not_by_the_alphabet() -> None:
    config = ModelConfig(num_layers=11, hidden_size=3)
    names = list(state_shapes(config, 4))
    assert names == [f"{layer}.{part}" for layer in range(11) for part in ("h", "c")]
    assert set(state_shapes(config, 4).values()) == {(4, 3)}
    assert list(state_shapes(ModelConfig(cell="gru", num_layers=2), 1)) == ["0.h", "1.h"]


MODELS = st.builds(
    ModelConfig,
    vocab_size=st.integers(1, 300),
    cell=st.sampled_from(sorted(CELLS)),
    num_layers=st.integers(1, 5),
    hidden_size=st.integers(1, 40),
    embedding_size=st.integers(1, 40),
)


@given(config=MODELS)
@settings(max_examples=60, deadline=None)
def test_parameters_are_counted_as_the_formula_says(config: ModelConfig) -> None:
    gates, h = CELLS[config.cell].gates, config.hidden_size
    widths = [config.embedding_size] + [h] * (config.num_layers - 1)
    cells = sum(gates * (h * width + h * h + 2 * h) for width in widths)
    ends = config.vocab_size * (config.embedding_size + h + 1)
    assert num_parameters(config) == cells + ends


@given(config=MODELS)
@settings(max_examples=60, deadline=None)
def test_model_configs_come_back_from_their_fields(config: ModelConfig) -> None:
    assert read_config(ModelConfig, asdict(config)) == config


@dataclasses.dataclass(frozen=True)
class Newer(ModelConfig):
    """A configuration of a later version, with one field more."""

    zoneout: float = _number(0.0, 0.0, 1.0, "Zoneout.", added=True)


def test_a_field_that_was_added_later_may_be_missing() -> None:
    assert read_config(Newer, asdict(ModelConfig())) == Newer()
    assert read_config(Newer, asdict(Newer(zoneout=0.5))) == Newer(zoneout=0.5)


def test_a_field_that_was_added_later_is_left_out_at_its_default() -> None:
    assert config_to_json(Newer()) == config_to_json(ModelConfig())
    assert config_to_json(ModelConfig()) | {"reset_id": -1} == asdict(ModelConfig())
    assert config_to_json(Newer(zoneout=0.5, reset_id=3)) == asdict(Newer(zoneout=0.5, reset_id=3))


def test_a_field_that_was_added_later_has_its_bounds() -> None:
    with pytest.raises(UsageError, match="--zoneout is 2"):
        read_config(Newer, asdict(ModelConfig()) | {"zoneout": 2})
