"""Units of a network that are held or pushed while it writes: nodes in the graph of a step.

A unit is what its layer carries on: c of an LSTM's cell, h of any other. `1:37=2` holds it at a
value after every token; `1:37=+2` adds to it. What is added to an LSTM's c is seen by the rest of
the network and not by c itself, so it does not add up. h stays within -1 to 1.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from charrnn.config import CELLS, ModelConfig, layer_sizes
from charrnn.errors import UsageError
from charrnn.inference.nodes import Nodes
from charrnn.tokenizers.base import count

MOST = 1000.0
"""Bound of what a unit of an LSTM can be set to or pushed by."""


@dataclass(frozen=True, order=True)
class Unit:
    """A unit by its layer and its number in it, both counted from 1: written 1:37."""

    layer: int
    number: int

    def __str__(self) -> str:
        return f"{self.layer}:{self.number}"


def parse_unit(text: str, config: ModelConfig) -> Unit:
    """LAYER:UNIT -> the unit. UsageError if it is not one of such a network.

    >>> str(parse_unit("2:256", ModelConfig(num_layers=2, hidden_size=256)))
    '2:256'
    """
    layer, colon, number = text.partition(":")
    if not (colon and layer.isdecimal() and number.isdecimal() and len(text) < 16):
        raise UsageError(f"{text!r} is not a unit", "write it as LAYER:UNIT, such as 1:37")
    unit, sizes = Unit(int(layer), int(number)), layer_sizes(config)
    if not 1 <= unit.layer <= len(sizes):
        raise UsageError(
            f"there is no unit {text}: the model has {count(len(sizes), 'layer')}",
            f"give a layer from 1 to {len(sizes)}",
        )
    size = sizes[unit.layer - 1][1]
    if not 1 <= unit.number <= size:
        raise UsageError(
            f"there is no unit {text}: layer {unit.layer} has {count(size, 'unit')}",
            f"give a unit from 1 to {size}",
        )
    return unit


@dataclass(frozen=True)
class Steer:
    """What is done to a unit after each token: it is set to an amount, or that is added."""

    unit: Unit
    amount: float
    adds: bool = False

    def __str__(self) -> str:
        sign = "=" if self.amount < 0 and not self.adds else ""
        return f"{self.unit}={sign}{self.amount:{'+' if self.adds else ''}g}"


def carried(config: ModelConfig) -> str:
    """The part of the state whose units are steered: c, or h where a cell has no other.

    >>> carried(ModelConfig(cell="lstm")), carried(ModelConfig(cell="gru"))
    ('c', 'h')
    """
    return CELLS[config.cell].state[-1]


def parse_steer(text: str, config: ModelConfig) -> Steer:
    """LAYER:UNIT=AMOUNT -> what is done to a unit; with a sign that is added.

    `1:37=-1` pushes down, so a negative value is set as `1:37==-1`. UsageError if it is not that.

    >>> [str(parse_steer(text, ModelConfig())) for text in ("1:37=2", "1:37=+2", "1:37=-2")]
    ['1:37=2', '1:37=+2', '1:37=-2']
    """
    name, equals, number = text.partition("=")
    if not equals:
        raise UsageError(f"{text!r} does not say to what", "write it as 1:37=2 or 1:37=+2")
    unit = parse_unit(name, config)
    exact = number.startswith("=")
    try:
        amount = float(number.removeprefix("="))
    except ValueError:
        amount = float("nan")
    adds = not exact and number.startswith(("+", "-"))
    most = MOST if adds or carried(config) == "c" else 1.0
    # Written so that NaN, which compares as false, is refused too.
    if not abs(amount) <= most:
        raise UsageError(
            f"{text!r} has no amount that a unit of a {config.cell} can have",
            f"give a number from {-most:g} to {most:g}",
        )
    return Steer(unit, amount, adds)


def parse_steers(texts: Iterable[str], config: ModelConfig) -> tuple[Steer, ...]:
    """Several LAYER:UNIT=AMOUNT -> what is done to units. UsageError if a unit is named twice."""
    found: dict[Unit, Steer] = {}
    for text in texts:
        steer = parse_steer(text, config)
        if steer.unit in found:
            raise UsageError(f"unit {steer.unit} is steered twice", "name it once")
        found[steer.unit] = steer
    return tuple(found.values())


def steered(nodes: Nodes, config: ModelConfig, steers: Sequence[Steer]) -> Nodes:
    """The nodes of a step -> the same, with units held or pushed."""
    part = carried(config)
    for layer, (_, size) in enumerate(layer_sizes(config)):
        own = [each for each in steers if each.unit.layer == layer + 1]
        if own:
            nodes = _steered_layer(nodes, f"{layer}.{part}.after", size, own, part != "c")
    return nodes


def _steered_layer(
    nodes: Nodes, name: str, size: int, steers: Sequence[Steer], bounded: bool
) -> Nodes:
    """Nodes -> the same, where what `name` was is steered before anything reads it."""
    keep, value, push = np.ones(size), np.zeros(size), np.zeros(size)
    for each in steers:
        place = each.unit.number - 1
        if each.adds:
            push[place] = each.amount
        else:
            keep[place], value[place] = 0, each.amount
    found = Nodes(constants=dict(nodes.constants))
    names = {"keep": keep, "value": value, "push": push}
    of = {n: found.constant(f"{name}.{n}", a.astype(np.float32)) for n, a in names.items()}
    raw, kept, seen = f"{name}.raw", f"{name}.kept", f"{name}.seen"
    for operator, (inputs, outputs), attributes in nodes.nodes:
        makes = name in outputs
        inputs = [seen if each == name and not bounded else each for each in inputs]
        outputs = [raw if each == name else each for each in outputs]
        found.node(operator, inputs, outputs, **attributes)
        if not makes:
            continue
        found.node("Mul", [raw, of["keep"]], [kept])
        if bounded:
            least, most = (
                found.constant(f"{name}.{n}", np.array(v, np.float32))
                for n, v in (("least", -1), ("most", 1))
            )
            found.node("Add", [kept, of["value"]], [f"{name}.set"])
            found.node("Add", [f"{name}.set", of["push"]], [seen])
            found.node("Clip", [seen, least, most], [name])
        else:
            found.node("Add", [kept, of["value"]], [name])
            found.node("Add", [name, of["push"]], [seen])
    return found
