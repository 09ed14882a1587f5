"""The n-gram models that a network is mixed with, as a checkpoint holds them.

The logarithm of a token's probability is the weighted sum of the network's and of those of n-gram
models of several orders, less what makes all probabilities one. All of them count the same text, of
which only its tokens are kept, in the order of `inference.ngram_model`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from charrnn.checkpoints.container import broken

TENSOR = "bytes.ngram"
"""The tensor of followers in a file, byte by byte."""

ORDERS = range(2, 33)
"""Orders of n-gram models that a file may have."""

MOST_MODELS = 8

LARGEST_WEIGHT = 100.0


@dataclass(frozen=True)
class Mixture:
    """N-gram models and weights.

    followers: the tokens of the text (N,), sorted by what precedes them. orders: of the n-gram
    models. weights: of the network, then of each n-gram model.
    """

    followers: NDArray[np.unsignedinteger]
    orders: tuple[int, ...]
    weights: tuple[float, ...]

    def to_json(self) -> dict[str, Any]:
        """The object "mixture" of format 3."""
        return {
            "tokens": len(self.followers),
            "width": self.followers.dtype.itemsize,
            "orders": list(self.orders),
            "weights": list(self.weights),
        }

    def tensor(self) -> NDArray[np.uint8]:
        """The followers as bytes, the least significant of each first."""
        kind = self.followers.dtype.newbyteorder("<")
        return np.ascontiguousarray(self.followers, kind).view(np.uint8)


def checked(data: Any, most_tokens: int) -> int:
    """The object "mixture" of a file -> the bytes of its tensor. CheckpointError if it is wrong."""
    if not isinstance(data, dict) or set(data) != {"tokens", "width", "orders", "weights"}:
        raise broken("its mixture does not have the expected fields")
    tokens, width, orders, weights = (data[k] for k in ("tokens", "width", "orders", "weights"))
    valid = (
        type(tokens) is int
        and 1 <= tokens <= most_tokens
        and type(width) is int
        and width in (1, 2, 4)
        and isinstance(orders, list)
        and 1 <= len(orders) <= MOST_MODELS
        and all(type(order) is int and order in ORDERS for order in orders)
        and orders == sorted(set(orders))
        and isinstance(weights, list)
        and len(weights) == len(orders) + 1
        and all(type(each) in (int, float) and abs(each) <= LARGEST_WEIGHT for each in weights)
    )
    if not valid:
        raise broken("its mixture has wrong numbers")
    size: int = tokens * width
    return size


def from_file(data: Mapping[str, Any], tensor: NDArray[np.uint8], vocab_size: int) -> Mixture:
    """A checked object and its tensor -> the mixture. CheckpointError for ids that do not exist."""
    followers = tensor.view(np.dtype(f"<u{data['width']}"))
    if int(followers.max()) >= vocab_size:
        raise broken("its n-gram models have ids that its tokenizer does not have")
    weights = tuple(float(each) for each in data["weights"])
    return Mixture(followers, tuple(data["orders"]), weights)
