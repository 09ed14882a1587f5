"""What ails a recurrent network in training, told from numbers that are at hand, and the remedy.

Exploding and vanishing gradients: Hochreiter 1991, Bengio et al. 1994, Pascanu et al. 2013.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

from charrnn.config import ModelConfig

EXPLODING = 100.0
"""A gradient longer than so many times the clip."""

VANISHING = 1e-6
"""A gradient shorter than this moves nothing."""

SATURATED, DEAD = 0.99, 1e-3
"""A unit whose outputs are all beyond the one, or all within the other, either side of zero."""

SHARE = 0.25
"""Units that have to be so, of a layer's, before it is worth a word."""


@dataclass(frozen=True)
class Symptom:
    """One ailment: its kind, and a line that names it with its remedy."""

    kind: str
    text: str


def of_gradient(norm: float, clip: float) -> Iterator[Symptom]:
    """What the norm of a gradient before clipping says."""
    if norm > EXPLODING * clip:
        yield Symptom(
            "exploding",
            f"the gradient explodes: its norm is {norm:.3g}, and --grad-clip {clip:g}; "
            "try a lower --learning-rate or a shorter --seq-length",
        )
    if norm < VANISHING:
        yield Symptom(
            "vanishing",
            f"the gradient has vanished: its norm is {norm:.3g}; "
            "try --cell lstm, --residual or fewer layers",
        )


def of_units(config: ModelConfig, state: list[tuple[Tensor, ...]]) -> Iterator[Symptom]:
    """What the outputs h (B, H) of each layer's units over the rows of a batch say."""
    for layer, (output, *_) in enumerate(state):
        if len(output) < 4:
            return  # too few rows to tell
        size = output.abs()
        stuck = float((size.amin(0) > SATURATED).float().mean())
        dead = float((size.amax(0) < DEAD).float().mean())
        if stuck > SHARE:
            yield Symptom(
                f"saturated {layer}",
                f"{stuck:.0%} of the units of layer {layer} are saturated; "
                "try a lower --learning-rate or more --weight-decay",
            )
        if dead > SHARE:
            yield Symptom(
                f"dead {layer}",
                f"{dead:.0%} of the units of layer {layer} are dead; "
                f"try fewer units than --hidden-size {config.hidden_size}, or a lower "
                "--learning-rate",
            )
