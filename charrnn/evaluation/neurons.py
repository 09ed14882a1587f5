"""What single units of a network follow in a text (Karpathy, Johnson and Li 2015). torch-free.

How much a unit follows a feature of the text is the mutual information of the two in bits: of the
class of the feature, and of the unit's activation in ten bins. For each feature the unit is chosen
on one half of the text, alternate twentieths of it, and its bits are reported on the other, where
chance has had no choice. Next to them:

* entropy: the bits that a unit that says all of the feature would have;
* chance: the most bits of 99 comparisons with the feature moved along the text, by which it keeps
  its own rhythm and loses the unit's;
* shuffled: the bits of the best unit of four networks with the same weights in random order. What
  it knows of the last few characters, any network does.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.checkpoint import Checkpoint
from charrnn.config import ModelConfig
from charrnn.errors import CorpusError
from charrnn.evaluation.activations import (
    LIMIT,
    Activations,
    Reading,
    read,
    units_of,
)
from charrnn.evaluation.text_features import Feature, text_features
from charrnn.inference.engine import Engine
from charrnn.inference.steering import Unit, parse_unit

LEAST_TOKENS = 200
"""Tokens that a text must have to be halved."""

EDGES = (0.01, 0.05, 0.125, 0.25, 0.5, 0.75, 0.875, 0.95, 0.99)
"""Quantiles of an activation between its bins; the outer ones are for what is rare."""

MOST_COUNTED = 12_000
"""Tokens of each half that are counted, evenly spread."""

SHUFFLES, SHUFFLED_TOKENS = 4, 8192
"""Networks of the same weights in random order, and the tokens that each reads."""

BLOCKS, SHIFTS = 20, 99
"""Parts of a text that alternate between the halves; comparisons that chance is taken from."""

LEAST_CLASS = 20
"""Tokens of each half at which a feature must hold, and not hold, to be looked for."""

MARGIN, LEAST_PART = 2.0, 0.05
"""To be called learned, a unit has to have so many times the bits of the shuffled networks' best
unit, and such a part of the feature's entropy."""


@dataclass(frozen=True)
class Found:
    """A feature and the unit that follows it best, in bits; see the module for each figure.

    learned: whether it beats chance and the shuffled networks. means: the unit's mean activation
    in each class of the feature. others: the units that follow it next best.
    """

    unit: Unit
    feature: str
    bits: float
    entropy: float
    chance: float
    shuffled: float
    means: Mapping[str, float]
    others: tuple[Unit, ...] = ()

    @property
    def learned(self) -> bool:
        """Whether chance has less, and the shuffled networks' best unit far less."""
        least = max(self.chance, MARGIN * self.shuffled, LEAST_PART * self.entropy)
        return self.bits > least

    @property
    def gain(self) -> float:
        """Bits above those of the shuffled networks' best unit, by which findings are ranked."""
        return self.bits - self.shuffled

    def to_json(self) -> dict[str, Any]:
        """All figures."""
        figures = {n: round(getattr(self, n), 6) for n in ("bits", "entropy", "chance", "shuffled")}
        return {
            "unit": str(self.unit),
            "feature": self.feature,
            **figures,
            "learned": self.learned,
            "means": {name: round(value, 4) for name, value in self.means.items()},
            "others": [str(unit) for unit in self.others],
        }


@dataclass(frozen=True)
class Neurons:
    """What the units of a network follow in a text.

    found: the best unit of each feature, those most above the shuffled networks first. absent:
    features that the text does not have. bits: (F, U) of each feature and unit on the half on which
    they are reported, in the order of `features`.
    """

    config: ModelConfig
    reading: Reading
    features: tuple[Feature, ...]
    found: tuple[Found, ...]
    absent: tuple[str, ...]
    bits: NDArray[np.float32]

    @property
    def learned(self) -> list[Found]:
        """Those above chance and the shuffled networks."""
        return [each for each in self.found if each.learned]

    def activation(self, unit: Unit | str) -> NDArray[np.float32]:
        """A unit, or LAYER:UNIT -> its activation after each token (N,)."""
        own = parse_unit(unit, self.config) if isinstance(unit, str) else unit
        column = units_of(self.config).index(own)
        return self.reading.activations[:, column].astype(np.float32)

    def follows(self, unit: Unit | str) -> dict[str, float]:
        """A unit -> its bits about each feature, the most first."""
        own = parse_unit(unit, self.config) if isinstance(unit, str) else unit
        column = units_of(self.config).index(own)
        pairs = zip(self.features, self.bits[:, column].tolist(), strict=True)
        return dict(sorted(((f.name, bits) for f, bits in pairs), key=lambda pair: -pair[1]))


def neurons(
    checkpoint: Checkpoint,
    engine: Engine,
    tokens: NDArray[np.integer],
    own: Mapping[str, str] | None = None,
    labels: Sequence[str] = (),
    limit: int = LIMIT,
    guesses: bool = False,
    threads: int | None = None,
) -> Neurons:
    """A language model and the tokens of a text -> what its units follow in it.

    own: more features, as regular expressions by name. labels: of a model of conditions. limit,
    guesses: as in `read`. threads: of the shuffled network. CorpusError if the text is too short to
    be halved.
    """
    reading = read(engine, checkpoint.tokenizer, tokens, limit, guesses)
    if len(reading.tokens) < LEAST_TOKENS:
        raise CorpusError(
            f"{len(reading.tokens):,} tokens are too few to tell what a unit follows",
            f"give a text of at least {LEAST_TOKENS:,} tokens",
        )
    known = text_features(reading.text, own, labels)
    at = [replace(each, classes=each.classes[reading.places]) for each in known]
    halves = _halves(len(reading.tokens))
    present = [f for f in at if all(_occurs(f.classes[half]) for half in halves)]
    absent = tuple(f.name for f in at if f not in present)
    baseline = np.zeros(len(present))
    for seed in range(SHUFFLES):
        other = Engine(_shuffled(checkpoint, seed), threads)
        shuffled = read(other, checkpoint.tokenizer, reading.tokens, SHUFFLED_TOKENS)
        baseline = np.maximum(baseline, _best_bits(shuffled, present))
    choice, report = (_bits(reading.activations, present, half) for half in halves)
    found = [
        _found(checkpoint.config, reading, feature, choice[number], report[number], halves[1], low)
        for number, (feature, low) in enumerate(zip(present, baseline.tolist(), strict=True))
    ]
    found.sort(key=lambda each: -each.gain)
    return Neurons(
        checkpoint.config, reading, tuple(present), tuple(found), absent,
        np.array(report, np.float32).reshape(len(present), -1),
    )  # fmt: skip


def _halves(count: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """So many tokens -> the places of alternate blocks of them, and the others."""
    odd = np.arange(count) * BLOCKS // count % 2 == 1
    return np.flatnonzero(~odd), np.flatnonzero(odd)


def _occurs(classes: NDArray[np.uint8]) -> bool:
    """Whether the second commonest class is there often enough to compare."""
    counts = np.sort(np.bincount(classes, minlength=2))
    return bool(len(classes) - counts[-1] >= LEAST_CLASS)


def _shuffled(checkpoint: Checkpoint, seed: int) -> Checkpoint:
    """The same network with the numbers of each weight matrix in random order."""
    random = np.random.default_rng(seed)
    weights = {
        name: random.permuted(array.ravel()).reshape(array.shape)
        for name, array in checkpoint.weights.items()
    }
    return replace(checkpoint, weights=weights)


def _best_bits(reading: Reading, features: Iterable[Feature]) -> list[float]:
    """The bits of a network's best unit about each feature of the tokens that it read some of."""
    at = [replace(each, classes=each.classes[reading.origins]) for each in features]
    choice, report = (_bits(reading.activations, at, h) for h in _halves(len(reading.tokens)))
    return [
        max(0.0, float(there[int(here.argmax())]))
        for here, there in zip(choice, report, strict=True)
    ]


def _found(
    config: ModelConfig,
    reading: Reading,
    feature: Feature,
    choice: NDArray[np.float64],
    report: NDArray[np.float64],
    half: NDArray[np.int64],
    shuffled: float,
) -> Found:
    """The unit that follows a feature best on the one half -> its figures on the other."""
    units, order = units_of(config), np.argsort(-choice, kind="stable")
    best = int(order[0])
    activation = reading.activations[:, best]
    own = feature.classes[half]
    means = {
        name: float(activation[half][own == number].astype(np.float32).mean())
        for number, name in enumerate(feature.names)
        if (own == number).any()
    }
    counted = _spread(half)
    entropy = Feature(feature.name, own, feature.names).entropy
    return Found(
        units[best], feature.name, max(0.0, float(report[best])), entropy,
        _chance(activation[counted], feature.classes[counted]), shuffled, means,
        tuple(units[int(number)] for number in order[1:4]),
    )  # fmt: skip


def _spread(half: NDArray[np.int64]) -> NDArray[np.int64]:
    """The places of a half -> so many of them as are counted, evenly spread."""
    stride = max(1, math.ceil(len(half) / MOST_COUNTED))
    return half[::stride]


def _bits(
    activations: Activations, features: list[Feature], half: NDArray[np.int64]
) -> list[NDArray[np.float64]]:
    """The mutual information (U,) of each feature and each unit at these places."""
    counted = _spread(half)
    ordered = np.ascontiguousarray(activations[counted].T, np.float32)
    above = _above(ordered)
    return [information(_joint(above, each, counted)) for each in features]


WORD = 64
"""Tokens whose bits are compared at once."""


def _above(units: NDArray[np.float32]) -> NDArray[np.uint64]:
    """Activations (U, N) -> (1 + EDGES, U, N / 64): a bit for each that is above a quantile.

    The first ones are all above. Each quantile is one that occurs, as with np.quantile's method
    "lower"; sorted along the memory that takes a third of its time.
    """
    places = np.floor((units.shape[1] - 1) * np.array(EDGES)).astype(int)
    edges = np.sort(units, axis=1)[:, places].T
    flags = [np.ones(units.shape, bool), *(units > edge[:, None] for edge in edges)]
    return np.stack([_packed(each) for each in flags])


def _packed(flags: NDArray[np.bool_]) -> NDArray[np.uint64]:
    """Flags (..., N) -> their bits in words, with zeros after the last."""
    lacking = [(0, 0)] * (flags.ndim - 1) + [(0, -flags.shape[-1] % WORD)]
    return np.packbits(np.pad(flags, lacking), axis=-1).view(np.uint64)


def _joint(
    above: NDArray[np.uint64], feature: Feature, counted: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Bits of `_above` and a feature -> the tokens of each class and bin (classes, bins, U).

    Counting bits takes a quarter of the time of counting each cell, and no threads of a product
    of matrices.
    """
    own = feature.classes[counted]
    classes = [_packed(own == number) for number in range(len(feature.names))]
    counts = [np.bitwise_count(above & each).sum(-1, dtype=np.int64) for each in classes]
    found: NDArray[np.int64] = np.stack(counts)
    found[:, :-1] -= found[:, 1:].copy()
    return found


def information(counts: NDArray[Any]) -> NDArray[np.float64]:
    """Joint counts (A, B, U) -> mutual information in bits (U,), less its bias.

    The bias of the plain estimate is that of Miller (1955), by the cells that are not empty.

    >>> information(np.array([[[50.0], [0.0]], [[0.0], [50.0]]])).round(3).tolist()
    [1.0]
    """
    counts = counts.astype(np.float64)
    total = counts.sum((0, 1))
    parts = (counts, counts.sum(1, keepdims=True), counts.sum(0, keepdims=True))
    joint, first, second = (_entropy(part / total) for part in parts)
    cells = [np.count_nonzero(part, axis=(0, 1)) for part in parts]
    bias = (cells[0] - cells[1] - cells[2] + 1) / (2 * total * math.log(2))
    return np.asarray(first + second - joint - np.maximum(bias, 0))


def _entropy(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    logs = np.log2(shares, where=shares > 0, out=np.zeros_like(shares))
    return np.asarray(-(shares * logs).sum((0, 1)))


def _chance(activation: Activations, classes: NDArray[np.uint8]) -> float:
    """The most bits of an activation about a feature that is moved along the text."""
    own = activation.astype(np.float32)
    edges = np.quantile(own, EDGES, method="lower")
    bins = (own[None] > edges[:, None]).sum(0)
    width = int(classes.max()) + 1
    random, count = np.random.default_rng(0), len(own)
    shifts = random.integers(count // 20 + 1, max(count // 20 + 2, count - count // 20), SHIFTS)
    joint = [
        np.bincount(bins * width + np.roll(classes, shift), minlength=(len(EDGES) + 1) * width)
        for shift in shifts.tolist()
    ]
    counts = np.stack(joint, axis=-1).reshape(len(EDGES) + 1, width, SHIFTS)
    return max(0.0, float(information(counts).max()))
