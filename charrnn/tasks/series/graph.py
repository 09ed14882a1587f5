"""A series' network as an ONNX graph that reads one step, from the nodes of `inference.nodes`."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from charrnn.checkpoints.checkpoint import Arrays, Checkpoint
from charrnn.config import CELLS, Shape, layer_sizes, residual_at
from charrnn.inference.graphs import model_of
from charrnn.inference.nodes import (
    CELL_NODES,
    LAYER_PARAMETERS,
    PRODUCTS,
    Nodes,
    float_product,
    in_node_order,
)
from charrnn.tasks.series.config import SeriesConfig
from charrnn.tasks.series.distributions import LEAST_DF, LEAST_SCALE, MASKED

DOCUMENT = """Forecasts of series by charrnn: one step of a network of {members} members.
inputs: float32 (B, {width}), for the step t that is to be predicted: the scaled values at the
{count} lags t - {lags}; for each lag 1 if its value is known, else 0 (and the scaled value 0);
{calendar}0.3 * arcsinh(center / size){covariates}.
center is the mean of the {context} values before the forecast, size the mean absolute difference
between these and the values {season} steps before each; where that is 0 it is the mean absolute
difference of neighbours, then of the values and center, and at least 0.001 * |center|. A scaled
value is (value - center) / size, within -10000 .. 10000.
State: every other input, float32 (B, units), zeros at first; hand each output NAME.after back in as
NAME. Read the {context} steps before the forecast first, with inputs made in the same way.
parameters.M: float32 (B, 3) of member M: place, scale and degrees of freedom of {distribution}
Draw a value from it, append it to the series, and go on with the next step; take as many paths as
you want, each of one member, and their quantiles. {bound}{calibration}
The metadata entry charrnn.series holds these numbers, and the rest, as JSON.
"""

STUDENT = """Student's t
distribution of the scaled value."""

NEGATIVE = """a negative
binomial distribution: its mean is size * log(1 + exp(4 * (place + center / size))) / 4, and its
variance mean + scale * mean ** 2; the degrees of freedom are not used."""


def cell_nodes(
    config: SeriesConfig, weights: Arrays, member: int, precision: str = "float32"
) -> tuple[Nodes, dict[str, Shape]]:
    """The nodes of one member, `inputs` (B, D) -> `parameters.M` (B, 3); names -> its state."""
    nodes = Nodes()
    state: dict[str, Shape] = {}
    first = member * config.num_layers
    nodes.node("Identity", ["inputs"], [f"x{first}"])
    for layer, (_, hidden) in enumerate(layer_sizes(config)):
        # Layers are numbered through all members, which makes the names of their nodes distinct.
        number = first + layer
        own = {
            name: in_node_order(config, weights[f"members.{member}.layers.{layer}.{name}_l0"])
            for name in LAYER_PARAMETERS
        }
        bias = own["bias_ih"]
        if not CELLS[config.cell].two_biases:
            bias = bias + own["bias_hh"]
        add = nodes.constant(f"bias{number}", bias)
        # In float32: scaled values have no bound that int8 could use.
        nodes.add(float_product(f"in{number}", f"x{number}", own["weight_ih"], add))
        nodes.add(CELL_NODES[config.cell](own, number, precision))
        out = f"{number}.{CELLS[config.cell].state[0]}.after"
        if residual_at(config, layer):
            nodes.node("Add", [out, f"x{number}"], [f"y{number}"])
        else:
            nodes.node("Identity", [out], [f"y{number}"])
        if layer + 1 < config.num_layers:
            nodes.node("Identity", [f"y{number}"], [f"x{number + 1}"])
        state |= {f"{number}.{part}": (hidden,) for part in CELLS[config.cell].state}
    nodes.add(_head(config, weights, member, f"y{first + config.num_layers - 1}"))
    return nodes, state


def _head(config: SeriesConfig, weights: Arrays, member: int, top: str) -> Nodes:
    """`top` (B, H) and `inputs` (B, D) -> `parameters.M` (B, 3)."""
    nodes, name, count = Nodes(), f"m{member}.", config.num_lags
    bias = nodes.constant(f"{name}bias", weights[f"members.{member}.output.bias"])
    product = float_product(f"{name}out", top, weights[f"members.{member}.output.weight"], bias)
    nodes.add(product)
    sizes = nodes.constant(f"{name}sizes", np.array([count, 1, 1, 1]))
    parts = [f"{name}{part}" for part in ("odds", "correction", "spread", "freedom")]
    nodes.node("Split", [f"{name}out", sizes], parts, axis=1)
    rest = config.embedding_size - 2 * count
    cuts = nodes.constant(f"{name}cuts", np.array([count, count, rest]))
    nodes.node("Split", ["inputs", cuts], [f"{name}lags", f"{name}known", f"{name}rest"], axis=1)
    one = nodes.constant(f"{name}one", np.array(1, np.float32))
    much = nodes.constant(f"{name}much", np.array(MASKED, np.float32))
    nodes.node("Sub", [f"{name}known", one], [f"{name}missing"])
    nodes.node("Mul", [f"{name}missing", much], [f"{name}penalty"])
    nodes.node("Add", [f"{name}odds", f"{name}penalty"], [f"{name}masked"])
    nodes.node("Softmax", [f"{name}masked"], [f"{name}weights"], axis=1)
    nodes.node("Mul", [f"{name}weights", f"{name}lags"], [f"{name}weighted"])
    axis = nodes.constant(f"{name}axis", np.array([1]))
    nodes.node("ReduceSum", [f"{name}weighted", axis], [f"{name}mean"], keepdims=1)
    nodes.node("Add", [f"{name}mean", f"{name}correction"], [f"{name}place"])
    for part, least in (("spread", LEAST_SCALE), ("freedom", LEAST_DF)):
        bound = nodes.constant(f"{name}{part}.least", np.array(least, np.float32))
        nodes.node("Softplus", [f"{name}{part}"], [f"{name}{part}.soft"])
        nodes.node("Add", [f"{name}{part}.soft", bound], [f"{name}{part}.value"])
    joined = [f"{name}place", f"{name}spread.value", f"{name}freedom.value"]
    return nodes.node("Concat", joined, [f"parameters.{member}"], axis=1)


def step_graph(
    config: SeriesConfig,
    weights: Arrays,
    members: Sequence[int],
    precision: str = "float32",
    document: str = "",
    properties: dict[str, str] | None = None,
) -> Any:
    """Weights -> an ONNX ModelProto of these members, which share `inputs`."""
    if precision not in PRODUCTS:
        raise ValueError(precision)
    whole = Nodes()
    states: dict[str, Shape] = {}
    with np.errstate(over="ignore", invalid="ignore"):  # weights of an untrusted file can be huge
        for member in members:
            nodes, state = cell_nodes(config, weights, member, precision)
            whole.add(nodes)
            states |= state
    inputs: dict[str, Shape] = {"inputs": (config.embedding_size,), **states}
    outputs: dict[str, Shape] = {f"parameters.{member}": (3,) for member in members}
    outputs |= {f"{name}.after": shape for name, shape in states.items()}
    return model_of(whole, inputs, outputs, document, properties or {})


def exported(checkpoint: Checkpoint) -> bytes:
    """A checkpoint -> an ONNX file of all members that documents itself."""
    config, encoder = checkpoint.config, checkpoint.encoder
    assert isinstance(config, SeriesConfig)
    cycles = ", ".join(encoder.cycles)
    calendar = (
        f"the sine and cosine of 2 pi p and of 4 pi p for p = how much of the {cycles} (in this "
        "order, local time, a week from Monday on, a year from January 1) is over; "
        if cycles
        else ""
    )
    covariates = (
        f"; (value - centers) / spreads of {', '.join(encoder.covariates)}, 0 for a missing one"
        if encoder.covariates
        else ""
    )
    text = DOCUMENT.format(
        members=config.members,
        width=config.embedding_size,
        count=config.num_lags,
        lags=", t - ".join(map(str, encoder.lags)),
        calendar=calendar,
        covariates=covariates,
        context=encoder.context,
        season=encoder.season,
        distribution=STUDENT if config.distribution == "student-t" else NEGATIVE,
        bound="" if encoder.lowest is None else f"No value is below {encoder.lowest:g}. ",
        calibration=(
            f"Last, a path becomes {1 - encoder.naive_weight:g} * m + {encoder.naive_weight:g} * n "
            f"+ {encoder.widening:.6g} * (path - m): m is the median of the paths at this step, n "
            + (
                "the last known value before the forecast."
                if encoder.naive_season
                else "the last known value a whole number of seasons before it."
            )
        ),
    )
    more = {"distribution": config.distribution, "members": config.members}
    about = json.dumps(encoder.to_json() | more, sort_keys=True)
    model = step_graph(
        config, checkpoint.weights, range(config.members), "float32", text,
        {"charrnn.series": about},
    )  # fmt: skip
    found: bytes = model.SerializeToString()
    return found
